/** Small helpers for the page's elements; text is always set as text, never as HTML. */

export function find<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`no #${id} on the page`);
  return found;
}

export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Partial<HTMLElementTagNameMap[Name]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Say something to everybody, those who listen to the page too. */
export function say(text: string, kind: "info" | "error" = "info"): void {
  const place = find("message", HTMLParagraphElement);
  place.textContent = text;
  place.dataset["kind"] = kind;
}
