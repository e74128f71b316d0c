import js from '@eslint/js';
import globals from 'globals';

export default [
  { ignores: ['*.js', '!build.js', '!eslint.config.js', 'node_modules/'] },
  js.configs.recommended,
  {
    languageOptions: { globals: { ...globals.browser, ...globals.nodeBuiltin } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      complexity: ['error', 18],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-empty': ['error', { allowEmptyCatch: true }],
      'no-unused-vars': ['error', { ignoreRestSiblings: true }],
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },
  { files: ['demo/worker.js'], languageOptions: { globals: globals.serviceworker } },
  { files: ['src/**', 'demo/**'], rules: { 'max-lines': ['error', 400], 'max-lines-per-function': ['error', 40] } },
];
