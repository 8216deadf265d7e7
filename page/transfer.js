// @ts-check
// Export and import of conversations. An imported file is foreign data: every member is checked, ids are made anew.
/** @import {Attachment, Conversation, Message, Settings} from './types.js' */
import {newId} from './dom.js';
import {emptySettings} from './request.js';
import {toolsError} from './settings.js';
import {Tree} from './tree.js';

const format = 'pippin-conversations';
const mediaUrl = /^data:(image|video)\/[a-z0-9.+-]+;base64,[A-Za-z0-9+/=]*$/;

/** @param {{conversation: Conversation, messages: Message[]}[]} entries @returns {string} */
export function exportText(entries) {
  const conversations = entries.map(({conversation, messages}) => ({...conversation, messages: new Tree(messages).all()}));
  return JSON.stringify({format, version: 1, conversations}, null, 1);
}

/** @param {any} value @returns {string} */
const text = (value) => typeof value === 'string' ? value : '';
/** @param {any} value @returns {any[]} */
const list = (value) => Array.isArray(value) ? value : [];
/** @param {any} value @returns {number | null} */
const number = (value) => typeof value === 'number' && Number.isFinite(value) ? value : null;

/** @param {any} given @returns {Settings} */
function readSettings(given) {
  /** @type {any} */
  const settings = emptySettings();
  for (const [name, value] of Object.entries(settings))
    settings[name] = value === null ? number(given?.[name]) : text(given?.[name]);
  if (toolsError(settings.tools)) settings.tools = '';
  return settings;
}

/** @param {any} given @returns {Attachment[]} none where it is no picture or clip of the file's own */
function readAttachment(given) {
  const kind = mediaUrl.exec(text(given?.url))?.[1];
  return kind === 'image' || kind === 'video' ? [{kind, name: text(given.name), url: given.url}] : [];
}

/** @param {any} given */
function readStats(given) {
  /** @type {Record<string, number>} */
  const stats = {};
  for (const name of ['firstMs', 'tokensPerSecond', 'promptTokens', 'cachedTokens', 'answerTokens', 'reasoningTokens', 'thoughtMs']) {
    const value = number(given?.[name]);
    if (value !== null) stats[name] = value;
  }
  return stats;
}

/**
 * @param {any} given @param {string} conversation
 * @param {Map<string, string>} ids those in the file -> those here, of the messages
 * @returns {Message}
 */
function readMessage(given, conversation, ids) {
  if (!['user', 'assistant', 'tool'].includes(given?.role)) throw new Error(`a message has the role ${text(given?.role)}`);
  const ended = ['done', 'stopped', 'cut', 'failed'].includes(given.status) ? given.status : 'stopped';
  return {
    id: /** @type {string} */ (ids.get(text(given.id))), conversation, parent: ids.get(given.parent) ?? null, role: given.role,
    created: number(given.created) ?? 0, text: text(given.text), reasoning: text(given.reasoning),
    attachments: list(given.attachments).flatMap(readAttachment),
    calls: list(given.calls).map((call) => ({id: text(call?.id), name: text(call?.name), arguments: text(call?.arguments)})),
    results: list(given.results).map((entry) => ({id: text(entry?.id), text: text(entry?.text)})),
    status: ended, error: text(given.error), model: text(given.model), stats: readStats(given.stats),
  };
}

/** @param {any} given @returns {{conversation: Conversation, messages: Message[]}} */
function readConversation(given) {
  const id = newId();
  const messages = list(given?.messages);
  const ids = new Map(messages.map((message) => [text(message?.id), newId()]));
  const earlier = new Set();
  const read = messages.map((message) => readMessage(message, id, ids));
  for (const message of read) {
    // A parent comes before its children, so that there is no circle.
    if (message.parent !== null && !earlier.has(message.parent)) throw new Error('a message stands before its parent');
    if (earlier.has(message.id)) throw new Error('two messages have the same id');
    earlier.add(message.id);
  }
  const now = Date.now();
  const conversation = {
    id, title: text(given?.title).slice(0, 200), created: number(given?.created) ?? now, updated: now,
    leaf: ids.get(given?.leaf) ?? read.at(-1)?.id ?? null, settings: readSettings(given?.settings),
  };
  return {conversation, messages: read};
}

/**
 * @param {string} file the text of an exported file; throws an Error that says what is wrong with it
 * @returns {{conversation: Conversation, messages: Message[]}[]}
 */
export function importText(file) {
  const given = JSON.parse(file);
  if (given?.format !== format) throw new Error('this file holds no conversations of Pippin');
  if (given.version !== 1) throw new Error(`its version ${String(given.version)} is not known here`);
  return list(given.conversations).map(readConversation);
}
