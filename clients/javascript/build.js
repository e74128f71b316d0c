/** Bundle and compress the modules of the package: `node build.js [FOLDER]`. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { minify } from 'terser';

const HERE = import.meta.dirname;
const [folder = HERE] = process.argv.slice(2);
const MODULES = { cliquet: 'index', indexeddb: 'indexeddb', live: 'live', query: 'query' };

let mangleCache = {}; // so that internal names are the same in all modules
for (const [name, source] of Object.entries(MODULES)) {
  const bundle = await build({
    absWorkingDir: HERE,
    entryPoints: [`src/${source}.js`],
    write: false,
    bundle: true,
    minifySyntax: true,
    minifyWhitespace: true,
    mangleProps: /^_/,
    mangleCache,
    format: 'esm',
    target: 'es2022',
  });
  ({ mangleCache } = bundle);
  const { code } = await minify(bundle.outputFiles[0].text, {
    module: true,
    compress: {
      passes: 3,
      ecma: 2022,
      pure_getters: true,
      unsafe_arrows: true,
      unsafe_methods: true,
      // Longer, but smaller when it is compressed:
      conditionals: false,
      sequences: false,
    },
    mangle: true,
  });
  await writeFile(join(folder, `${name}.js`), `${code}\n`);
}
