// Makes and mends elements. What comes from outside enters by textContent or as an attribute's value, never as markup.

export const byId = (id) => document.getElementById(id);

// An element. `props`: class, text, role, data-…, aria-…, on… (a function) and whatever else is an attribute.
export function el(name, props = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "text") element.textContent = value;
    else if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Changes a text only where it is another: what is selected stays selected, and what is read out is not read again.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function attribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

// Holds the children of an element against a list: one child for each item, by key, in the list's order. A child stays the
// same element while its key is there, so that focus and what is folded out survive. `make(item)` gives the child;
// `mend(child, item)` brings it up to date. Children that have no key are left alone.
export function keyed(parent, items, key, make, mend) {
  const old = new Map();
  for (const child of [...parent.children]) if (child.nova !== undefined) old.set(child.nova, child);
  let at = null;
  for (const item of items) {
    const name = key(item);
    let child = old.get(name);
    if (child) old.delete(name);
    else {
      child = make(item);
      child.nova = name;
    }
    const next = at ? at.nextElementSibling : firstKeyed(parent, child);
    if (next !== child) parent.insertBefore(child, next);
    mend(child, item);
    at = child;
  }
  for (const child of old.values()) child.remove();
}

function firstKeyed(parent, child) {
  return [...parent.children].find((other) => other.nova !== undefined || other === child) ?? null;
}

// A cell of a table that becomes a card: the label is what stands before it there.
export function cell(label, props = {}, ...children) {
  return el("td", { role: "cell", "data-label": label, ...props }, ...children);
}

// Shows one of two: what there is, or that there is nothing.
export function emptiness(section, isEmpty, ...others) {
  section.querySelector(".empty").hidden = !isEmpty;
  for (const other of others) other.hidden = isEmpty;
}
