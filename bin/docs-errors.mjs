// Writes docs/errors.md from the table of failures; test/unit/pipelines/failures.test.ts fails when they differ.
import { writeFileSync } from 'node:fs';
import { createJiti } from 'jiti';

const { failuresDocument } = await createJiti(import.meta.url).import('../pipelines/failures-doc.ts');
writeFileSync(new URL('../docs/errors.md', import.meta.url), failuresDocument());
