// Shows the document, whose URL is that of this page without the slash, in a shorter form.

const DOCUMENT = "../__api__";
const RARE_METHODS = ["head", "options"];
const AUTHORIZE =
  "To send requests as a user, select **Authorize** and enter credentials. A padlock marks the operations that use them; " +
  "it is closed once you are authorized.";

/** Return the parameters of an operation, with one in place of all filters. */
function foldFilters(parameters, components) {
  const resolve = (parameter) =>
    parameter.$ref ? components.parameters[parameter.$ref.split("/").pop()] : parameter;
  const filters = parameters.map(resolve).filter((parameter) => parameter["x-filter"]);
  if (!filters.length) return parameters;
  const others = parameters.filter((parameter) => !resolve(parameter)["x-filter"]);
  const fields = new Set(filters.map((filter) => filter["x-filter"]).filter((field) => !field.startsWith("_")));
  const prefixes = new Set(
    filters.map(({ name, "x-filter": field }) => name.slice(0, -field.length)).filter((prefix) => /^[a-z_]+_$/.test(prefix))
  );
  const list = (names) => [...names].map((name) => `\`${name}\``).join(", ");
  const description =
    `Filters and their values, for example \`{"min_last_modified": 1430222877724}\`. Fields: ${list(fields)}. ` +
    `Prefixes: ${list(prefixes)}; without a prefix, the value must be equal. ` +
    "`_or` is a JSON list of alternatives.";
  const schema = { type: "object", additionalProperties: { type: "string" }, examples: [{}] };
  return [...others, { name: "filters", in: "query", description, schema, style: "form", explode: true }];
}

/** Return the document as the page shows it. */
function prepare(document, withRareMethods) {
  const shown = structuredClone(document);
  const used = new Set();
  for (const item of Object.values(shown.paths)) {
    for (const method of RARE_METHODS) if (!withRareMethods) delete item[method];
    for (const [method, operation] of Object.entries(item)) {
      if (method === "parameters") continue;
      for (const tag of operation.tags ?? []) used.add(tag);
      // An optional requirement would show as an operation that the user is authorized for.
      const { security } = operation;
      if (security) operation.security = security.filter((requirement) => Object.keys(requirement).length);
      if (operation.parameters) operation.parameters = foldFilters(operation.parameters, shown.components);
    }
  }
  shown.tags = (shown.tags ?? []).filter((tag) => used.has(tag.name));
  if (Object.keys(shown.components.securitySchemes ?? {}).length) {
    shown.info.description = [shown.info.description, AUTHORIZE].filter(Boolean).join("\n\n");
  }
  // The server might not know its public scheme and host, but the browser does.
  const here = new URL("../", location);
  const isHere = ({ url }) => `${new URL(url, here).pathname}/` === here.pathname;
  shown.servers = shown.servers.map((server) =>
    isHere(server) ? { ...server, url: here.href.replace(/\/$/, "") } : server
  );
  return shown;
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const applyColours = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", applyColours);
applyColours();

const response = await fetch(DOCUMENT);
if (!response.ok) {
  document.getElementById("swagger-ui").textContent = `The document could not be loaded: ${response.status}`;
  throw new Error(`${DOCUMENT}: ${response.status}`);
}
const api = await response.json();
const allMethods = document.getElementById("all-methods");
const ui = SwaggerUIBundle({
  spec: prepare(api, allMethods.checked),
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
allMethods.addEventListener("change", () => ui.specActions.updateJsonSpec(prepare(api, allMethods.checked)));
