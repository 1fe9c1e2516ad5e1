/**
 * The walls of docs/architecture.md and the habits that keep the code apart. Comments cannot switch a rule off: a rule
 * that does not serve is changed here. test/unit/lint-walls.test.ts shows that each wall refuses.
 */
import importX, { createNodeResolver } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

const DECLARATIONS = ['**/*.ts'];
const FOLDERS = ['pipelines', 'workflows', 'activities', 'workers', 'operator', 'cli', 'dashboards', 'lib', 'bench', 'test'];
const PROCESSES = ['workers', 'operator', 'cli', 'dashboards', 'bench', 'test'];

/** Imports that leave a folder for one of `folders`. */
const into = (folders, message, options = {}) => ({ regex: `^(\\.\\./)+(${folders.join('|')})(/|$)`, message, ...options });
const packagesExcept = (allowed, message) => ({ regex: `^(?!\\.)(?!(${allowed.join('|')})$)`, message });

/** One wall: which files, and which import paths they may not use. */
const wall = (files, patterns, ignores = []) => ({
  files,
  ignores,
  rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns }] },
});

const notUp = (folder, folders) => into(folders, `${folder}/ imports nothing above it (docs/architecture.md).`);
const leavesPipelines = into(
  FOLDERS.filter((folder) => folder !== 'pipelines'),
  'pipelines/ is pure: it imports nothing but itself.',
);
const pure = (...allowed) =>
  packagesExcept(
    allowed,
    'pipelines/ is pure: luxon belongs in local-day.ts and calendar.ts, croner in cron-times.ts, nothing else anywhere.',
  );

const NO_STAR = { selector: 'ExportAllDeclaration', message: 'Name what you export: a star drags what it reaches along.' };
const NO_CLOCK = [
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Time is an argument; lib/clock.ts reads the clock.' },
  {
    selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
    message: 'Time is an argument; lib/clock.ts reads the clock.',
  },
];
const NO_DYNAMIC_IMPORT = { selector: 'ImportExpression', message: 'What is pure or bundled imports statically, so that its walls hold.' };

export default tseslint.config(
  // infra/ is a package of its own, with a configuration of its own.
  { ignores: ['dist/', 'coverage/', 'node_modules/', '.almanac/', 'infra/'] },
  { linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: 'error' } },
  {
    files: DECLARATIONS,
    extends: [tseslint.configs.recommended],
    plugins: { 'import-x': importX },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    settings: {
      'import-x/extensions': ['.ts'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts', '.js'], extensionAlias: { '.js': ['.ts', '.js'] } })],
    },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      'eqeqeq': ['error', 'always', { null: 'ignore' }],
      'import-x/no-cycle': 'error',
      'import-x/no-default-export': 'error',
      'max-lines': ['error', 400],
      'no-restricted-syntax': ['error', NO_STAR],
    },
  },
  { files: ['test/**/*.ts'], rules: { 'max-lines': ['error', 600] } },
  // Jest and the project loader ask for the default export of these.
  { files: ['almanac.config.ts', 'test/support/global-*.ts'], rules: { 'import-x/no-default-export': 'off' } },

  wall(['pipelines/**/*.ts'], [leavesPipelines, pure()], ['pipelines/window.ts', 'pipelines/define.ts']),
  wall(['pipelines/local-day.ts', 'pipelines/calendar.ts'], [leavesPipelines, pure('luxon')]),
  wall(['pipelines/cron-times.ts'], [leavesPipelines, pure('croner')]),
  wall(
    ['workflows/**/*.ts'],
    [
      notUp('workflows', ['lib', ...PROCESSES]),
      into(['activities'], 'workflows/ imports only types of activities/: a value would enter the bundle.', { allowTypeImports: true }),
      packagesExcept(['@temporalio/workflow'], 'workflows/ runs in a sandbox: it imports @temporalio/workflow and pipelines/ only.'),
    ],
  ),
  wall(['activities/**/*.ts'], [notUp('activities', ['workflows', ...PROCESSES])]),
  wall(['workers/**/*.ts'], [notUp('workers', ['operator', 'cli', 'dashboards', 'bench', 'test'])]),
  wall(['operator/**/*.ts'], [notUp('operator', ['cli', 'dashboards', 'bench', 'test'])]),
  wall(
    ['cli/**/*.ts'],
    [
      notUp('cli', ['dashboards', 'bench', 'test']),
      into(['activities', 'workflows', 'workers'], 'cli/ parses and renders: what is done is in operator/.', { allowTypeImports: true }),
    ],
  ),
  wall(
    ['lib/**/*.ts'],
    [
      into(
        FOLDERS.filter((folder) => folder !== 'lib' && folder !== 'pipelines'),
        'lib/ holds leaves: it imports no other folder.',
      ),
      { regex: '^(\\.\\./)+pipelines/(?!(failures|size)$)', message: 'lib/ may use failures and size of pipelines/, nothing else of it.' },
    ],
  ),
  {
    files: ['pipelines/**/*.ts', 'workflows/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', NO_STAR, NO_DYNAMIC_IMPORT, ...NO_CLOCK] },
  },
);
