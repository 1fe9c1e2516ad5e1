/** Where objects lie in S3, from `ALMANAC_DATA=s3://BUCKET/PREFIX` and the `ALMANAC_S3_*` beside it. Holds no secret: credentials are the SDK's own affair. */
export interface S3Config {
  readonly bucket: string;
  /** Empty, or ends in `/`. */
  readonly prefix: string;
  /** Of a service that is not AWS, or a VPC endpoint. */
  readonly endpoint?: string;
  /** Undefined: the SDK's chain decides. */
  readonly region?: string;
  /** The bucket in the path of an address, not in its host name. */
  readonly pathStyle: boolean;
  /** Objects are encrypted with this KMS key; undefined: as the bucket has it. */
  readonly kmsKey?: string;
  readonly requesterPays: boolean;
  /** Bytes of objects kept on this machine. */
  readonly cacheBytes: number;
}

const DEFAULT_CACHE_BYTES = 20e9;

/** What the variables say, each as it was parsed. */
export interface GivenS3 {
  readonly ALMANAC_S3_ENDPOINT?: string | undefined;
  readonly ALMANAC_S3_REGION?: string | undefined;
  readonly ALMANAC_S3_PATH_STYLE?: boolean | undefined;
  readonly ALMANAC_S3_KMS_KEY?: string | undefined;
  readonly ALMANAC_S3_REQUESTER_PAYS?: boolean | undefined;
  readonly ALMANAC_S3_CACHE?: number | undefined;
}

/** Whether the objects are to lie in S3. */
export function isS3(data: string | undefined): data is string {
  return data !== undefined && /^s3[an]?:/i.test(data);
}

/** The bucket and the prefix of `s3://BUCKET/PREFIX`; undefined for what is none. */
export function parseS3(uri: string): Pick<S3Config, 'bucket' | 'prefix'> | undefined {
  const [, bucket, rest = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/.exec(uri) ?? [];
  if (bucket === undefined) return undefined;
  const segments = rest.replace(/\/$/, '').split('/');
  if (rest === '') return { bucket, prefix: '' };
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) return undefined;
  return { bucket, prefix: `${segments.join('/')}/` };
}

export function s3Config(place: Pick<S3Config, 'bucket' | 'prefix'>, given: GivenS3): S3Config {
  const { ALMANAC_S3_ENDPOINT: endpoint, ALMANAC_S3_REGION: region, ALMANAC_S3_KMS_KEY: kmsKey } = given;
  return {
    ...place,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(kmsKey === undefined ? {} : { kmsKey }),
    pathStyle: given.ALMANAC_S3_PATH_STYLE ?? false,
    requesterPays: given.ALMANAC_S3_REQUESTER_PAYS ?? false,
    cacheBytes: given.ALMANAC_S3_CACHE ?? DEFAULT_CACHE_BYTES,
  };
}
