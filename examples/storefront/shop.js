// A small shop over the published products: every list comes from the API, and everything is reported to it.
"use strict";

const main = document.getElementById("main");
const state = {
  customer: sessionStorage.getItem("shop-customer") || "",
  cart: JSON.parse(sessionStorage.getItem("shop-cart") || "[]"),
};

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function keep() {
  sessionStorage.setItem("shop-customer", state.customer);
  sessionStorage.setItem("shop-cart", JSON.stringify(state.cart));
  document.getElementById("count").textContent = state.cart.length;
  document.getElementById("customer").value = state.customer;
  document.getElementById("sign").textContent = state.customer ? "Sign out" : "Sign in";
}

const who = () => (state.customer ? { customer_id: state.customer } : {});
const address = (id) => `#/product/${encodeURIComponent(id)}`;
const link = (item) => `${location.pathname}${address(item.product_id)}`;

async function addList(title, options) {
  const place = make("div");
  const section = make("section", {}, make("h2", {}, title), place);
  main.append(section);
  const answer = await recsWidget.render(place, { customer: state.customer, cart: state.cart, link, ...options });
  if (!answer?.items.length) section.append(make("p", { class: "quiet" }, answer ? "Nothing here." : "The server does not answer."));
  return answer;
}

async function read(path) {
  const answer = await fetch(path);
  return answer.ok ? answer.json() : null;
}

function put(id) {
  if (!state.cart.includes(id)) state.cart.push(id);
  recsWidget.report({ type: "add_to_cart", product_id: id, ...who() });
  keep();
}

const pages = {
  async home() {
    main.append(make("h1", {}, state.customer ? `Welcome back, ${state.customer}` : "Welcome"));
    const answer = await addList(state.customer ? "For you" : "Popular now", { placement: "home" });
    const categories = [...new Set((answer?.items || []).map((item) => item.card.category).filter(Boolean))];
    if (categories.length)
      main.append(make("nav", { "aria-label": "Categories" }, make("h2", {}, "Categories"),
        ...categories.map((name) => make("a", { href: `#/category/${encodeURIComponent(name)}` }, name))));
  },

  async category(name) {
    main.append(make("h1", {}, name));
    await addList(`The best of ${name}`, { placement: "home", category: [name] });
  },

  async product(id) {
    const product = await read(`/v1/products/${encodeURIComponent(id)}`);
    if (!product) return void main.append(make("h1", {}, "There is no such product"));
    recsWidget.report({ type: "view", product_id: id, ...who() });
    const button = make("button", { type: "button" }, "Put into the cart");
    button.disabled = !product.available;
    button.addEventListener("click", async () => { put(id); await recsWidget.flush(); location.hash = "#/cart"; });
    const { card } = product;
    main.append(make("article", { class: "product" }, make("h1", {}, card.title || id),
      make("p", {}, recsWidget.writePrice(card) || "Price in the store"),
      make("p", { class: "quiet" }, [card.brand, card.category].filter(Boolean).join(" · ")),
      make("p", {}, product.available ? button : "Not available now")));
    await addList("Goes well with it", { placement: "product", context: [id] });
  },

  async cart() {
    main.append(make("h1", {}, "Cart"));
    if (!state.cart.length) main.append(make("p", {}, "The cart is empty."));
    const body = make("tbody");
    for (const id of state.cart) {
      const product = await read(`/v1/products/${encodeURIComponent(id)}`);
      const remove = make("button", { type: "button" }, "Remove");
      const title = product?.card.title || id;
      remove.setAttribute("aria-label", `Remove ${title}`);
      remove.addEventListener("click", () => { state.cart = state.cart.filter((other) => other !== id); keep(); show(); });
      body.append(make("tr", {}, make("td", {}, make("a", { href: address(id) }, title)),
        make("td", {}, product ? recsWidget.writePrice(product.card) : ""), make("td", {}, remove)));
    }
    if (state.cart.length) {
      main.append(make("table", {}, make("thead", {}, make("tr", {}, make("th", {}, "Product"), make("th", {}, "Price"), make("th", {}, "Remove"))), body));
      main.append(make("p", {}, make("a", { href: "#/checkout" }, "To the checkout")));
    }
    await addList("Still missing?", { placement: "cart" });
  },

  async checkout() {
    main.append(make("h1", {}, "Checkout"));
    const pay = make("button", { type: "button" }, `Buy ${state.cart.length} products`);
    pay.disabled = !state.cart.length;
    pay.addEventListener("click", async () => {
      for (const id of state.cart) recsWidget.report({ type: "purchased", product_id: id, placement: "checkout", ...who() });
      state.cart = [];
      keep();
      await recsWidget.flush();
      location.hash = "#/thanks";
    });
    main.append(make("p", {}, pay));
    await addList("One more thing", { placement: "checkout" });
  },

  async thanks() {
    main.append(make("h1", {}, "Thank you"), make("p", {}, "What you bought is in no list any more until the next week is made."));
    await addList("For the next time", { placement: "home" });
  },

  async again() {
    main.append(make("h1", {}, "Buy again"));
    if (!state.customer) return void main.append(make("p", {}, "Sign in to see what is due again."));
    const answer = await read(`/v1/customers/${encodeURIComponent(state.customer)}/buy-again?n=12`);
    const list = make("ul", { class: "recs-list" });
    for (const item of answer?.items || [])
      list.append(make("li", { class: "recs-item" }, make("a", { class: "recs-link", href: address(item.product_id) },
        make("span", { class: "recs-title" }, item.card.title || item.product_id), make("span", { class: "recs-price" }, recsWidget.writePrice(item.card)),
        make("span", { class: "recs-reason" }, item.reason_text || ""))));
    main.append(list.children.length ? list : make("p", {}, "Nothing is due again."));
  },
};

async function show() {
  const [, name = "", value = ""] = location.hash.split("/");
  main.replaceChildren();
  await (pages[name || "home"] || pages.home)(decodeURIComponent(value));
  document.title = `${main.querySelector("h1")?.textContent || "Example shop"} – Example shop`;
}

document.getElementById("account").addEventListener("submit", (event) => {
  event.preventDefault();
  state.customer = state.customer ? "" : document.getElementById("customer").value.trim();
  keep();
  show();
});
addEventListener("hashchange", () => { show(); main.focus(); });
keep();
show();
