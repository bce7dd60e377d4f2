/** Greets people: the functions of `wit/greeter.wit`. */

export const api = {
  greet(name) {
    if (!name) throw "nobody to greet";
    return `hello, ${name}`;
  },
};
