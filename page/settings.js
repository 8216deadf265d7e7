// @ts-check
// The dialog of the system prompt, sampling and tools.
/** @import {Settings} from './types.js' */
import {byId, element} from './dom.js';
import {emptySettings} from './request.js';

/** name, label, least, most, step @type {[keyof Settings, string, number, number | null, number | 'any'][]} */
const numbers = [
  ['temperature', 'Temperature', 0, 2, 'any'], ['top_p', 'Top p', 0, 1, 'any'], ['top_k', 'Top k', 0, null, 1], ['min_p', 'Min p', 0, 1, 'any'],
  ['repetition_penalty', 'Repetition penalty', 0.01, 2, 'any'], ['presence_penalty', 'Presence penalty', -2, 2, 'any'],
  ['frequency_penalty', 'Frequency penalty', -2, 2, 'any'], ['max_tokens', 'Most tokens', 1, null, 1], ['seed', 'Seed', 0, null, 1],
];
const efforts = [['', 'the model’s choice'], ['none', 'none'], ['low', 'low'], ['medium', 'medium'], ['high', 'high']];
const storageName = 'pippin-settings';

/** @returns {Settings} those of new conversations */
export function defaultSettings() {
  try {
    return {...emptySettings(), ...JSON.parse(localStorage.getItem(storageName) ?? '{}')};
  } catch {
    return emptySettings();
  }
}

/** @param {string} text @returns {string} what is wrong with a list of tools; empty where nothing is */
export function toolsError(text) {
  if (!text.trim()) return '';
  try {
    return Array.isArray(JSON.parse(text)) ? '' : 'The tools are not a list.';
  } catch (error) {
    return `The tools are not JSON: ${/** @type {Error} */ (error).message}`;
  }
}

export class SettingsDialog {
  /** @param {(settings: Settings) => void} save */
  constructor(save) {
    this.save = save;
    this.dialog = byId('settings');
    this.form = this.dialog.querySelector('form');
    this.#build();
    this.form.addEventListener('submit', (/** @type {Event} */ event) => this.#submit(event));
    byId('cancel-settings').addEventListener('click', () => this.dialog.close());
  }

  #build() {
    const grid = byId('sampling');
    for (const [name, label, min, max, step] of numbers)
      grid.append(element('label', {}, label, element('input', {type: 'number', name, min, max, step, inputmode: 'decimal'})));
    const options = efforts.map(([value, text]) => element('option', {value}, text));
    grid.append(element('label', {}, 'Reasoning', element('select', {name: 'reasoning_effort'}, ...options)));
  }

  /** @param {Settings} settings */
  open(settings) {
    for (const [name, value] of Object.entries(settings)) this.form.elements[name].value = value ?? '';
    byId('tools-error').textContent = '';
    this.dialog.showModal();
  }

  /** @param {Event} event */
  #submit(event) {
    event.preventDefault();
    const error = toolsError(this.form.elements.tools.value);
    byId('tools-error').textContent = error;
    if (error) return;
    /** @type {any} */
    const settings = emptySettings();
    for (const name of Object.keys(settings)) {
      const {value} = this.form.elements[name];
      settings[name] = settings[name] === null ? (value === '' ? null : Number(value)) : value;
    }
    localStorage.setItem(storageName, JSON.stringify(settings));
    this.dialog.close();
    this.save(settings);
  }
}
