import { rmSync } from 'node:fs';

export default function removeAssemblies(): void {
  const { ALMANAC_TEST_ASSEMBLIES: root } = process.env;
  if (root !== undefined) rmSync(root, { recursive: true, force: true });
}
