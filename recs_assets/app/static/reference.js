// Shows /openapi.json: every endpoint with its parameters, its answers, and a form to try it.
"use strict";

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

function describeType(schema) {
  if (!schema) return "";
  if (schema.anyOf) return schema.anyOf.map(describeType).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.type === "array") return `list of ${describeType(schema.items)}`;
  const bounds = [["minimum", "from"], ["maximum", "to"], ["minLength", "length from"], ["maxLength", "length to"]];
  return [schema.type, ...bounds.filter(([key]) => key in schema).map(([key, word]) => `${word} ${schema[key]}`)].join(" ");
}

function makeTable(head, rows) {
  const line = (cells, kind) => make("tr", {}, ...cells.map((cell) => make(kind, {}, cell)));
  return make("table", {}, make("thead", {}, line(head, "th")), make("tbody", {}, ...rows.map((row) => line(row, "td"))));
}

function listFields(schema, definitions) {
  const own = schema.$ref ? definitions[schema.$ref.split("/").pop()] : schema;
  return Object.entries(own.properties || {}).map(([name, field]) => [
    make("code", {}, name), describeType(field), field.description || "",
  ]);
}

function makeForm(path, method, operation, parameters, body) {
  const form = make("form", {});
  const inputs = parameters.map((parameter) => {
    const input = make("input", { name: parameter.name, "aria-label": `${parameter.name} (${parameter.in})` });
    if (parameter.required) input.required = true;
    form.append(make("label", {}, parameter.name, input));
    return [parameter, input];
  });
  const key = make("input", { name: "key", type: "password", autocomplete: "off", "aria-label": "X-API-Key" });
  form.append(make("label", {}, "X-API-Key, where the server has keys", key));
  let text = null;
  if (body) {
    text = make("textarea", { name: "body", "aria-label": "body as JSON" });
    text.value = "{}";
    form.append(make("label", {}, "body", text));
  }
  const shown = make("pre", { tabindex: "0", "aria-live": "polite", hidden: "" });
  form.append(make("p", {}, make("button", { type: "submit" }, "Try it")), shown);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let address = path.replace(/:path/g, "");
    const query = new URLSearchParams();
    for (const [parameter, input] of inputs) {
      if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.set(parameter.name, input.value);
    }
    if ([...query].length) address += `?${query}`;
    const headers = key.value ? { "X-API-Key": key.value } : {};
    if (text) headers["Content-Type"] = "application/json";
    shown.hidden = false;
    try {
      const answer = await fetch(address, { method: method.toUpperCase(), headers, body: text ? text.value : undefined });
      const content = await answer.text();
      let pretty = content;
      try { pretty = JSON.stringify(JSON.parse(content), null, 2); } catch { /* metrics are no JSON */ }
      shown.textContent = `${answer.status} ${address}\n\n${pretty}`;
    } catch (error) {
      shown.textContent = `The server cannot be reached: ${error.message}`;
    }
  });
  return form;
}

async function show() {
  const page = document.getElementById("reference");
  const api = await (await fetch("/openapi.json")).json();
  const definitions = api.components.schemas;
  const groups = {};
  for (const [path, methods] of Object.entries(api.paths))
    for (const [method, operation] of Object.entries(methods))
      (groups[(operation.tags || ["other"])[0]] ||= []).push([path, method, operation]);
  page.replaceChildren(make("h1", {}, `${api.info.title} ${api.info.version}: the API`), make("p", {}, api.info.description));
  for (const [group, endpoints] of Object.entries(groups)) {
    page.append(make("h2", {}, group[0].toUpperCase() + group.slice(1)));
    for (const [path, method, operation] of endpoints) {
      const parameters = operation.parameters || [];
      const body = operation.requestBody?.content["application/json"].schema;
      const good = Object.entries(operation.responses).find(([status]) => status.startsWith("2"));
      const answer = good?.[1].content?.["application/json"]?.schema;
      page.append(make("details", {},
        make("summary", {}, make("span", { class: "method" }, method.toUpperCase()), make("code", {}, path)),
        make("p", {}, operation.description || ""),
        parameters.length ? makeTable(["parameter", "in", "type", "meaning"], parameters.map((parameter) => [
          make("code", {}, parameter.name + (parameter.required ? " *" : "")), parameter.in,
          describeType(parameter.schema), parameter.description || "",
        ])) : null,
        body ? makeTable(["field of the body", "type", "meaning"], listFields(body, definitions)) : null,
        answer ? makeTable(["field of the answer", "type", "meaning"], listFields(answer, definitions)) : null,
        makeTable(["status", "meaning"], Object.entries(operation.responses).map(([status, reply]) => [status, reply.description])),
        makeForm(path, method, operation, parameters, body)));
    }
  }
}

show();
