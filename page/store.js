// @ts-check
// Conversations in the browser (IndexedDB), and word of changes to the other tabs.
/** @import {Conversation, Message} from './types.js' */

/** @param {IDBRequest} request @returns {Promise<any>} */
function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {IDBTransaction} transaction @returns {Promise<void>} */
function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

/**
 * Commits what was asked for by now: a page that is closing does not live to commit when its requests have succeeded.
 * @param {IDBTransaction} transaction @returns {Promise<void>}
 */
function committed(transaction) {
  transaction.commit();
  return finished(transaction);
}

/** @returns {Promise<IDBDatabase>} */
function open() {
  const request = indexedDB.open('pippin', 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore('conversations', {keyPath: 'id'});
    request.result.createObjectStore('messages', {keyPath: 'id'}).createIndex('conversation', 'conversation');
  };
  return result(request);
}

export class Store {
  /** @param {IDBDatabase} database */
  constructor(database) {
    this.database = database;
    this.channel = new BroadcastChannel('pippin');
  }

  static async open() {
    return new Store(await open());
  }

  /**
   * @param {string} store @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest} action
   */
  async #in(store, mode, action) {
    const transaction = this.database.transaction(store, mode);
    const [value] = await Promise.all([result(action(transaction.objectStore(store))), committed(transaction)]);
    return value;
  }

  /** @returns {Promise<Conversation[]>} the one changed last comes first */
  async conversations() {
    const all = await this.#in('conversations', 'readonly', (store) => store.getAll());
    return all.sort((/** @type {Conversation} */ a, /** @type {Conversation} */ b) => b.updated - a.updated);
  }

  /** @param {string} id @returns {Promise<Conversation | undefined>} */
  conversation(id) {
    return this.#in('conversations', 'readonly', (store) => store.get(id));
  }

  /** @param {string} conversation @returns {Promise<Message[]>} */
  messages(conversation) {
    return this.#in('messages', 'readonly', (store) => store.index('conversation').getAll(conversation));
  }

  /** @param {Conversation} conversation */
  async putConversation(conversation) {
    await this.#in('conversations', 'readwrite', (store) => store.put(conversation));
    this.channel.postMessage({kind: 'conversation', id: conversation.id});
  }

  /** @param {Message} message */
  async putMessage(message) {
    await this.#in('messages', 'readwrite', (store) => store.put(message));
    this.channel.postMessage({kind: 'message', message});
  }

  /** Keeps a whole conversation, or nothing of it. @param {Conversation} conversation @param {Message[]} messages */
  async putAll(conversation, messages) {
    const transaction = this.database.transaction(['conversations', 'messages'], 'readwrite');
    transaction.objectStore('conversations').put(conversation);
    for (const message of messages) transaction.objectStore('messages').put(message);
    await committed(transaction);
    this.channel.postMessage({kind: 'conversation', id: conversation.id});
  }

  /** @param {string} id */
  async remove(id) {
    const transaction = this.database.transaction(['conversations', 'messages'], 'readwrite');
    transaction.objectStore('conversations').delete(id);
    const messages = transaction.objectStore('messages');
    const keys = messages.index('conversation').getAllKeys(id);
    keys.onsuccess = () => keys.result.forEach((key) => messages.delete(key));
    await finished(transaction);
    this.channel.postMessage({kind: 'removed', id});
  }
}
