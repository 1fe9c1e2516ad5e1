package almanac;

import com.amazonaws.SdkClientException;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.regions.DefaultAwsRegionProviderChain;
import com.amazonaws.services.s3.AmazonS3;
import com.amazonaws.services.s3.AmazonS3ClientBuilder;
import com.amazonaws.services.s3.model.AmazonS3Exception;
import com.amazonaws.services.s3.model.GetObjectRequest;
import com.amazonaws.services.s3.model.ObjectMetadata;
import com.amazonaws.services.s3.model.PutObjectRequest;
import com.amazonaws.services.s3.model.S3Object;
import com.amazonaws.services.s3.model.SSEAwsKeyManagementParams;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Arrays;
import org.apache.hadoop.conf.Configuration;

/** An object of S3 that is put with If-None-Match, by the SDK that the S3 connector brings along, with the credentials of its own chain. */
final class S3Put implements ObjectPut {
  private static final int TAKEN = 412;
  private static final int RACED = 409;
  private static final int TRIES = 20;
  private static final String CENTRAL = "s3.amazonaws.com";
  private static final String ANY_REGION = "us-east-1";

  private final String bucket;
  private final String key;
  private final Configuration configuration;

  S3Put(String bucket, String key, Configuration configuration) {
    this.bucket = bucket;
    this.key = key;
    this.configuration = configuration;
  }

  @Override
  public boolean ifAbsent(byte[] body) throws IOException {
    AmazonS3 client = client();
    try {
      for (int attempt = 1; ; attempt++) {
        try {
          client.putObject(request(body));
          return true;
        } catch (AmazonS3Exception refused) {
          if (refused.getStatusCode() == TAKEN) return isThere(client, body);
          // Two puts at the same moment: the one that is told so asks again and learns who won.
          if (refused.getStatusCode() != RACED || attempt == TRIES) throw refused;
        }
      }
    } finally {
      client.shutdown();
    }
  }

  private PutObjectRequest request(byte[] body) {
    ObjectMetadata metadata = new ObjectMetadata();
    metadata.setContentLength(body.length);
    metadata.setContentType("application/json");
    PutObjectRequest request = new PutObjectRequest(bucket, key, new ByteArrayInputStream(body), metadata);
    request.putCustomRequestHeader("If-None-Match", "*");
    request.setRequesterPays(requesterPays());
    String kmsKey = configuration.getTrimmed("fs.s3a.encryption.key", "");
    if (!kmsKey.isEmpty()) request.setSSEAwsKeyManagementParams(new SSEAwsKeyManagementParams(kmsKey));
    return request;
  }

  private boolean isThere(AmazonS3 client, byte[] body) throws IOException {
    try (S3Object found = client.getObject(new GetObjectRequest(bucket, key, requesterPays()))) {
      return Arrays.equals(found.getObjectContent().readAllBytes(), body);
    }
  }

  private boolean requesterPays() {
    return configuration.getBoolean("fs.s3a.requester.pays.enabled", false);
  }

  /** As the settings of the S3 connector say. */
  AmazonS3 client() {
    AmazonS3ClientBuilder builder = AmazonS3ClientBuilder.standard();
    builder.withPathStyleAccessEnabled(configuration.getBoolean("fs.s3a.path.style.access", false));
    String endpoint = configuration.getTrimmed("fs.s3a.endpoint", "");
    String region = configuration.getTrimmed("fs.s3a.endpoint.region", "");
    // Spark names the endpoint of all regions where nobody names any: it is none.
    if (!endpoint.isEmpty() && !endpoint.equals(CENTRAL)) {
      String scheme = configuration.getBoolean("fs.s3a.connection.ssl.enabled", true) ? "https://" : "http://";
      String url = endpoint.contains("://") ? endpoint : scheme + endpoint;
      builder.withEndpointConfiguration(new EndpointConfiguration(url, region.isEmpty() ? ANY_REGION : region));
    } else {
      builder.withRegion(region.isEmpty() ? regionOfMachine() : region);
      // The bucket may be in another one: it is asked where.
      builder.withForceGlobalBucketAccessEnabled(true);
    }
    return builder.build();
  }

  private static String regionOfMachine() {
    try {
      String region = new DefaultAwsRegionProviderChain().getRegion();
      return region == null || region.isEmpty() ? ANY_REGION : region;
    } catch (SdkClientException unknown) {
      return ANY_REGION;
    }
  }
}
