// What a person has chosen, kept in the page's address, so that a copied address shows the same.

/** Read a choice: the last value of a parameter, or what stands for none. */
export const chosen = (name, otherwise = "") => new URLSearchParams(location.search).get(name) ?? otherwise;

/** Read all values of a parameter. */
export const allChosen = (name) => new URLSearchParams(location.search).getAll(name);

/** Keep choices: a text, a list, or nothing (empty, null) to leave the parameter out. Others stay as they are. */
export function choose(choices) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(choices)) {
    query.delete(name);
    for (const each of Array.isArray(value) ? value : [value]) if (each !== "" && each != null) query.append(name, each);
  }
  const text = query.toString();
  history.replaceState(history.state, "", location.pathname + (text ? `?${text}` : "") + location.hash);
}
