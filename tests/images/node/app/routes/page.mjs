// An ECMAScript module, which is loaded in another way.
export default (title) => `<title>${title}</title>`;
