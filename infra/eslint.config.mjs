// The habits of the root's eslint.config.mjs for a package of its own; its walls do not apply here.
import tseslint from 'typescript-eslint';

const NO_STAR = { selector: 'ExportAllDeclaration', message: 'Name what you export: a star drags what it reaches along.' };

export default tseslint.config(
  { ignores: ['cdk.out/', 'node_modules/'] },
  { linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommended],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      'eqeqeq': ['error', 'always', { null: 'ignore' }],
      'max-lines': ['error', 400],
      'no-restricted-syntax': ['error', NO_STAR, { selector: 'ExportDefaultDeclaration', message: 'Name what you export.' }],
    },
  },
  // Jest asks for the default export of these.
  { files: ['test/global-*.ts'], rules: { 'no-restricted-syntax': ['error', NO_STAR] } },
);
