// @ts-check
// Blocks of code: the language's name, a button that copies, colours.
import hljs from './vendor/hljs/core.min.js';
import bash from './vendor/hljs/bash.min.js';
import c from './vendor/hljs/c.min.js';
import cpp from './vendor/hljs/cpp.min.js';
import css from './vendor/hljs/css.min.js';
import diff from './vendor/hljs/diff.min.js';
import go from './vendor/hljs/go.min.js';
import ini from './vendor/hljs/ini.min.js';
import java from './vendor/hljs/java.min.js';
import javascript from './vendor/hljs/javascript.min.js';
import json from './vendor/hljs/json.min.js';
import python from './vendor/hljs/python.min.js';
import rust from './vendor/hljs/rust.min.js';
import shell from './vendor/hljs/shell.min.js';
import sql from './vendor/hljs/sql.min.js';
import typescript from './vendor/hljs/typescript.min.js';
import xml from './vendor/hljs/xml.min.js';
import yaml from './vendor/hljs/yaml.min.js';
import {copyText, element} from './dom.js';

const languages = {bash, c, cpp, css, diff, go, ini, java, javascript, json, python, rust, shell, sql, typescript, xml, yaml};
for (const [name, grammar] of Object.entries(languages)) hljs.registerLanguage(name, grammar);

const longest = 50_000; // characters; longer code keeps one colour

/** @param {string} text @param {string} language @returns {DocumentFragment | null} */
function coloured(text, language) {
  if (text.length > longest || !hljs.getLanguage(language)) return null;
  const {value} = hljs.highlight(text, {language, ignoreIllegals: true});
  return globalThis.DOMPurify.sanitize(value, {ALLOWED_TAGS: ['span'], ALLOWED_ATTR: ['class'], RETURN_DOM_FRAGMENT: true});
}

/** Puts a head above the block and colours into it. @param {HTMLElement} pre */
export function decorateCode(pre) {
  const code = /** @type {HTMLElement} */ (pre.querySelector('code') ?? pre);
  const text = code.textContent ?? '';
  const language = code.getAttribute('data-language') ?? '';
  const copy = element('button', {type: 'button', class: 'copy', click: () => copyText(text)}, 'Copy code');
  const colours = coloured(text, language);
  if (colours) code.replaceChildren(colours);
  pre.tabIndex = 0;
  pre.setAttribute('role', 'region');
  pre.setAttribute('aria-label', language ? `Code, ${language}` : 'Code');
  const frame = element('div', {class: 'code'}, element('div', {class: 'code-head'}, element('span', {}, language || 'code'), copy));
  pre.replaceWith(frame);
  frame.append(pre);
}
