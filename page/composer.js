// @ts-check
// The field for the next message, with the files that go with it.
/** @import {Attachment} from './types.js' */
import {announce, byId, element, iconButton} from './dom.js';
import {preview} from './message.js';

/** @param {File} file @returns {Promise<string>} a data: URL */
function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(/** @type {string} */ (reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

/** @param {DataTransfer | null} transfer @returns {File[]} pictures and clips */
const mediaOf = (transfer) => [...transfer?.files ?? []].filter((file) => /^(image|video)\//.test(file.type));

export class Composer {
  /**
   * @param {(text: string, attachments: Attachment[]) => void} send
   * @param {() => void} stop
   */
  constructor(send, stop) {
    this.onSend = send;
    this.input = byId('input');
    this.list = byId('attachments');
    /** @type {Attachment[]} */
    this.attachments = [];
    this.busy = false;
    this.takes = {image: true, video: true};
    byId('composer').addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#send();
    });
    byId('stop').addEventListener('click', stop);
    byId('attach').addEventListener('click', () => byId('files').click());
    byId('files').addEventListener('change', () => this.#choose());
    this.input.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => this.#onKey(event));
    this.input.addEventListener('paste', (/** @type {ClipboardEvent} */ event) => this.#onPaste(event));
    this.#listenToDrops();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#send();
  }

  #send() {
    const text = this.input.value.trim();
    if (this.busy || (!text && !this.attachments.length)) return;
    const attachments = this.attachments;
    this.input.value = '';
    this.attachments = [];
    this.#draw();
    this.onSend(text, attachments);
  }

  #choose() {
    const files = byId('files');
    this.add([...files.files]);
    files.value = '';
    this.input.focus();
  }

  /** @param {ClipboardEvent} event */
  #onPaste(event) {
    const files = mediaOf(event.clipboardData);
    if (!files.length) return;
    event.preventDefault();
    this.add(files);
  }

  #listenToDrops() {
    const sign = byId('drop');
    let depth = 0; // of the elements that the pointer has entered
    const over = (/** @type {number} */ step) => {
      depth = Math.max(0, depth + step);
      sign.hidden = depth === 0;
    };
    addEventListener('dragenter', (event) => event.dataTransfer?.types.includes('Files') && over(1));
    addEventListener('dragleave', () => over(-1));
    addEventListener('dragover', (event) => event.preventDefault());
    addEventListener('drop', (event) => {
      event.preventDefault();
      over(-depth);
      this.add(mediaOf(event.dataTransfer));
    });
  }

  /** @param {File[]} files */
  async add(files) {
    for (const file of files) {
      const kind = /** @type {'image' | 'video'} */ (file.type.split('/')[0]);
      if (!this.takes[kind]) {
        announce(`This model takes no ${kind}s`);
        continue;
      }
      this.attachments.push({kind, name: file.name, url: await dataUrl(file)});
    }
    this.#draw();
  }

  #draw() {
    this.list.hidden = !this.attachments.length;
    this.list.replaceChildren(...this.attachments.map((attachment, i) => element('li', {}, preview(attachment),
      iconButton('close', `Remove ${attachment.name || attachment.kind}`, () => {
        this.attachments.splice(i, 1);
        this.#draw();
        this.input.focus();
      }))));
  }

  /** @param {boolean} busy an answer is under way here */
  setBusy(busy) {
    const had = document.activeElement === byId('stop') || document.activeElement === byId('send');
    this.busy = busy;
    byId('send').hidden = busy;
    byId('stop').hidden = !busy;
    if (had) this.input.focus();
  }

  /** @param {string[]} inputs the kinds that the model takes */
  setInputs(inputs) {
    this.takes = {image: inputs.includes('image'), video: inputs.includes('video')};
    const none = !this.takes.image && !this.takes.video;
    byId('attach').disabled = none;
    byId('attach').title = none ? 'This model takes text only' : 'Attach pictures or clips';
  }
}
