import { invalidRequest } from './aws-error';

type Tags = Readonly<Record<string, string>>;

/** The tags with those of a request beside or over them, by key. Throws InvalidRequestException for one EMR does not take. */
export function addedTags(tags: Tags, added: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[]): Tags {
  const result: Record<string, string> = { ...tags };
  for (const { Key: key = '', Value: value = '' } of added) {
    if (key.length < 1 || key.length > 128)
      throw invalidRequest(`Invalid tag key: '${key}'. Tag keys must be between 1 and 128 characters in length.`);
    if (value.length > 256)
      throw invalidRequest(`Invalid tag value: '${value}'. Tag values must be between 0 and 256 characters in length.`);
    result[key] = value;
  }
  return result;
}

export function removedTags(tags: Tags, keys: readonly string[]): Tags {
  return Object.fromEntries(Object.entries(tags).filter(([key]) => !keys.includes(key)));
}
