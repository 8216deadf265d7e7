// @ts-check
// The model picker, and word of whether the server answers.
import {ApiError, getJson} from './api.js';
import {byId, element} from './dom.js';

const storageName = 'pippin-model';
const askEveryMs = 1000;

/** @param {any} model of /v1/models @returns {string} whether it is loaded, where the server tells */
const stateOf = (model) => model.state ?? model.status?.value ?? '';

export class Models {
  /** @param {(inputs: string[]) => void} setInputs told the kinds of input that the server takes */
  constructor(setInputs) {
    this.setInputs = setInputs;
    this.select = byId('model');
    this.select.addEventListener('change', () => {
      localStorage.setItem(storageName, this.select.value);
      this.#learnInputs().catch(() => {});  // they stay as they are
    });
    this.down = false;
  }

  get current() {
    return this.select.value;
  }

  async load() {
    try {
      const {data} = await getJson('v1/models');
      this.#show(data);
      await this.#learnInputs();
    } catch (error) {
      if (error instanceof ApiError && error.status === 0) this.lost();
    }
  }

  // Each model takes inputs of its own.
  async #learnInputs() {
    const {modalities} = await getJson(`v1/capabilities?model=${encodeURIComponent(this.current)}`);
    this.setInputs(modalities.input);
  }

  /** @param {any[]} models */
  #show(models) {
    const wanted = this.select.value || localStorage.getItem(storageName);
    this.select.replaceChildren(...models.map((model) => {
      const state = stateOf(model);
      return element('option', {value: model.id, selected: model.id === wanted}, state ? `${model.id} (${state})` : model.id);
    }));
  }

  /** Asks whether the server is there, and waits for it where it isn't. */
  async check() {
    try {
      await fetch('health', {cache: 'no-store'});
    } catch {
      this.lost();
    }
  }

  async lost() {
    if (this.down) return;
    this.down = true;
    const banner = byId('banner');
    banner.textContent = 'The server does not answer. The page tries again every second.';
    banner.hidden = false;
    while (this.down) {
      await new Promise((resolve) => setTimeout(resolve, askEveryMs));
      this.down = await fetch('health', {cache: 'no-store'}).then(() => false, () => true);
    }
    banner.hidden = true;
    await this.load();
  }
}
