import { hadoopUri, SPARK_ACCEPTED, sparkOrder, type OrderRequest } from '../../../pipelines/spark-order';

const request: OrderRequest = {
  dataset: {
    columns: { user: 'text', mail: 'text', n: 'bigint' },
    key: ['user'],
    buckets: { by: 'user', count: 4 },
    pii: ['user', 'mail'],
  },
  text: 'select * from adds;\n',
  views: [{ alias: 'adds', layouts: [{ columns: [{ name: 'user', type: 'text' }], files: ['s3a://b/p/1.parquet'] }] }],
  places: { token: 's3://b/p/token.json', result: 's3://b/p/result.json', folder: 's3://b/p/data' },
  prefix: 'key-',
};

describe('the order of a Spark job', () => {
  it('names every place as Hadoop spells it, and a folder with its slash', () => {
    const { token, result, output } = sparkOrder(request);
    expect([token, result, output.folder]).toEqual(['s3a://b/p/token.json', 's3a://b/p/result.json', 's3a://b/p/data/']);
    expect(hadoopUri('/data root/x')).toBe('file:///data root/x');
  });

  it('lets the result tell values of personal columns only where they are the key', () => {
    expect(sparkOrder(request).output.columns.map(({ name, ranged }) => [name, ranged])).toEqual([
      ['user', true],
      ['mail', false],
      ['n', true],
    ]);
  });

  it('is one query without the semicolon of its author, and opens no file by name', () => {
    const order = sparkOrder(request);
    expect(order.text).toBe('select * from adds');
    expect(order.settings['spark.sql.runSQLOnFiles']).toBe('false');
  });

  it('takes no type of Spark for a column that could lose something in it', () => {
    const accepts = (type: keyof typeof SPARK_ACCEPTED, returned: string): boolean => SPARK_ACCEPTED[type].test(returned);
    expect(['int', 'decimal(20,0)', 'void'].every((type) => accepts('bigint', type))).toBe(true);
    expect(['double', 'decimal(20,2)', 'string', 'boolean'].some((type) => accepts('bigint', type))).toBe(false);
    expect([accepts('double', 'decimal(20,2)'), accepts('date', 'timestamp'), accepts('text', 'int')]).toEqual([true, false, false]);
  });
});
