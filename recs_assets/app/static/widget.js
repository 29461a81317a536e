// Shows a placement in a page and reports what comes of it: shown (half of it visible for a second), clicked, dismissed.
//
//   <div data-recs-placement="home" data-recs-n="6"></div>
//   <script src="/static/widget.js"></script>
//
// or recsWidget.render(element, { placement, customer, n, context, cart, category, exclude }). No dependency.
"use strict";
(() => {
  const script = document.currentScript;
  const api = (script && script.dataset.api) || "";
  const VISIBLE_MS = 1000, SEND_MS = 500, SESSION_MS = 30 * 60 * 1000;

  function makeId() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  // A random number per browser, and one per visit; both only where the page may keep them.
  function keep(storage, name, makeValue) {
    try {
      const kept = storage.getItem(name) || makeValue();
      storage.setItem(name, kept);
      return kept;
    } catch {
      return makeValue();
    }
  }

  function visitor() {
    return keep(localStorage, "recs-visitor", makeId);
  }

  function session() {
    const now = Date.now();
    const [id, last] = keep(sessionStorage, "recs-session", () => `${makeId()} ${now}`).split(" ");
    const own = now - Number(last) < SESSION_MS ? id : makeId();
    try { sessionStorage.setItem("recs-session", `${own} ${now}`); } catch { /* the page may keep nothing */ }
    return own;
  }

  let waiting = [], timer = null;

  // Events go out together; one that fails is tried again with the same id, so it counts once.
  function report(event) {
    waiting.push({
      event_id: makeId(), occurred_at: new Date().toISOString(), visitor_id: visitor(), session_id: session(), ...event,
    });
    timer ||= setTimeout(flush, SEND_MS);
  }

  async function flush() {
    clearTimeout(timer);
    timer = null;
    const events = waiting.splice(0, 100);
    if (!events.length) return;
    try {
      const answer = await fetch(`${api}/v1/events`, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ events }), keepalive: true,
      });
      if (answer.status === 429 || answer.status >= 500) throw new Error(answer.statusText);
    } catch {
      waiting = [...events, ...waiting].slice(-500);
      timer ||= setTimeout(flush, 5000);
      return;
    }
    if (waiting.length) timer ||= setTimeout(flush, SEND_MS);
  }

  addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") flush(); });
  addEventListener("pagehide", flush);

  const shown = new WeakSet(), timers = new WeakMap();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting, intersectionRatio } of entries) {
      clearTimeout(timers.get(target));
      if (!isIntersecting || intersectionRatio < 0.5 || shown.has(target)) continue;
      timers.set(target, setTimeout(() => {
        shown.add(target);
        observer.unobserve(target);
        report({ type: "shown", ...target.recsEvent });
      }, VISIBLE_MS));
    }
  }, { threshold: 0.5 });

  function make(name, className, text) {
    const node = document.createElement(name);
    node.className = className;
    if (text != null) node.textContent = text;
    return node;
  }

  function writePrice(card) {
    if (card.price == null) return "";
    const from = card.price_from == null ? "" : "about ";
    try {
      return from + new Intl.NumberFormat(document.documentElement.lang || undefined, { style: "currency", currency: card.currency }).format(card.price);
    } catch {
      return from + card.price.toFixed(2);
    }
  }

  // Only addresses of the web: a product's link must not run anything.
  function isSafe(url) {
    try { return ["http:", "https:"].includes(new URL(url, location.href).protocol); } catch { return false; }
  }

  function makeItem(item, answer, options) {
    const node = make("li", "recs-item");
    node.recsEvent = {
      product_id: item.product_id, recommendation_id: item.recommendation_id, placement: answer.placement, position: item.rank,
      ...(options.customer && { customer_id: options.customer }),
      ...(answer.experiment && { experiment: answer.experiment, arm: answer.arm }),
    };
    const link = make("a", "recs-link");
    const url = options.link ? options.link(item) : item.card.url;
    if (url && isSafe(url)) link.href = url;
    if (item.card.image_url && isSafe(item.card.image_url)) {
      const image = make("img", "recs-image");
      image.src = item.card.image_url;
      image.alt = "";
      image.loading = "lazy";
      link.append(image);
    }
    link.append(make("span", "recs-title", item.card.title || item.product_id), make("span", "recs-price", writePrice(item.card)));
    if (item.reason_text) link.append(make("span", "recs-reason", item.reason_text));
    link.addEventListener("click", () => { report({ type: "clicked", ...node.recsEvent }); flush(); });
    const dismiss = make("button", "recs-dismiss", "×");
    dismiss.type = "button";
    dismiss.setAttribute("aria-label", `Not interested in ${item.card.title || item.product_id}`);
    dismiss.addEventListener("click", async () => {
      report({ type: "dismissed", ...node.recsEvent });
      const next = node.nextElementSibling || node.previousElementSibling;
      node.remove();
      next?.querySelector("a, button")?.focus();
      await flush();
      options.dismissed?.(item);
    });
    node.append(link, dismiss);
    observer.observe(node);
    return node;
  }

  async function ask(options) {
    const { placement = "home", customer } = options;
    const lists = ["context", "cart", "category", "exclude"].filter((name) => options[name]);
    if (customer) {
      const query = new URLSearchParams({ placement, visitor_id: visitor(), session_id: session() });
      if (options.n) query.set("n", options.n);
      if (options.country) query.set("country", options.country);
      for (const name of lists) for (const value of options[name].length ? options[name] : [""]) query.append(name, value);
      return fetch(`${api}/v1/customers/${encodeURIComponent(customer)}/recommendations?${query}`);
    }
    const body = { placement, visitor_id: visitor(), session_id: session() };
    for (const name of ["n", "country", ...lists]) if (options[name]) body[name] = options[name];
    return fetch(`${api}/v1/sessions/recommendations`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
  }

  // Fills an element; resolves to the answer, or to null where there is none: then the element is empty and hidden.
  async function render(element, options = {}) {
    let answer = null;
    try {
      const response = await ask(options);
      if (response.ok) answer = await response.json();
    } catch { /* a page goes on without recommendations */ }
    const list = make("ul", "recs-list");
    if (answer) list.append(...answer.items.map((item) => makeItem(item, answer, options)));
    element.replaceChildren(list);
    element.hidden = !list.children.length;
    return answer;
  }

  function readOptions({ dataset }) {
    const split = (text) => (text == null ? undefined : text.split(",").filter(Boolean));
    return {
      placement: dataset.recsPlacement, customer: dataset.recsCustomer, n: dataset.recsN && Number(dataset.recsN),
      country: dataset.recsCountry, context: split(dataset.recsContext), cart: split(dataset.recsCart),
      category: split(dataset.recsCategory), exclude: split(dataset.recsExclude),
    };
  }

  function renderAll() {
    for (const element of document.querySelectorAll("[data-recs-placement]")) render(element, readOptions(element));
  }

  window.recsWidget = { render, report, flush, visitor, session, writePrice };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", renderAll);
  else renderAll();
})();
