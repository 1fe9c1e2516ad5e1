/** How the tests compile TypeScript, in jest and in processes of their own. @type {import('@swc/core').Options} */
module.exports = {
  jsc: { parser: { syntax: 'typescript', decorators: false }, target: 'es2022' },
  module: { type: 'commonjs' },
};
