// @ts-check
// The server's HTTP interface. Paths are relative, so that the page works behind a proxy that adds a prefix.

const keyName = 'pippin-key';

export class ApiError extends Error {
  /** @param {number} status 0: the server could not be reached @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Asks the user for the key; set by the page. @type {(wrong: boolean) => Promise<string>} */
let askKey = () => Promise.reject(new ApiError(401, 'An API key is needed.'));
/** @type {Promise<string> | null} one question for all requests that wait */
let question = null;

/** @param {typeof askKey} ask */
export function askForKeyWith(ask) {
  askKey = ask;
}

/** @param {string | null} key @returns {Record<string, string>} */
function authorization(key) {
  return key ? {Authorization: `Bearer ${key}`} : {};
}

/** @param {boolean} wrong */
async function newKey(wrong) {
  question ??= askKey(wrong).finally(() => { question = null; });
  sessionStorage.setItem(keyName, await question);
}

/** @param {Response} response @returns {Promise<ApiError>} */
async function errorOf(response) {
  const text = await response.text().catch(() => '');
  try {
    return new ApiError(response.status, JSON.parse(text).error.message);
  } catch {
    return new ApiError(response.status, text.slice(0, 300) || `The server answered ${response.status}.`);
  }
}

/**
 * Sends a request, with the key where there is one; asks for a key as long as the server refuses. Throws ApiError.
 * @param {string} path
 * @param {{body?: object, signal?: AbortSignal, quiet?: boolean}} [options] with a body: POST; quiet: asks for no key
 * @returns {Promise<Response>}
 */
export async function request(path, {body, signal, quiet} = {}) {
  for (;;) {
    const key = sessionStorage.getItem(keyName);
    const headers = {...authorization(key), ...(body ? {'Content-Type': 'application/json'} : {})};
    let response;
    try {
      response = await fetch(path, {method: body ? 'POST' : 'GET', body: body && JSON.stringify(body), headers, signal, cache: 'no-store'});
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, 'The server does not answer.');
    }
    if (response.ok) return response;
    if (response.status !== 401 || quiet) throw await errorOf(response);
    // Another request may have asked for a new key in the meantime.
    if (sessionStorage.getItem(keyName) === key) await newKey(key !== null);
  }
}

/** @param {string} path @returns {Promise<any>} */
export async function getJson(path) {
  return (await request(path)).json();
}

/**
 * The values of the metrics that are asked for, summed over their labels.
 * @param {string} text Prometheus' text format
 * @param {string[]} names
 * @returns {Record<string, number>}
 */
export function readMetrics(text, names) {
  /** @type {Record<string, number>} */
  const sums = {};
  for (const line of text.split('\n')) {
    const name = line.slice(0, line.search(/[{ ]/));
    if (names.includes(name)) sums[name] = (sums[name] ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sums;
}

/**
 * The data of server-sent events, JSON each; ends at "[DONE]". A stream that ends before is an ApiError.
 * @param {Response} response
 * @returns {AsyncGenerator<any>}
 */
export async function* readEvents(response) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const {done, value} = await reader.read();
      if (done) throw new ApiError(0, 'The connection ended before the answer did.');
      const lines = (rest + decoder.decode(value, {stream: true})).split(/\r?\n/);
      rest = /** @type {string} */ (lines.pop());
      for (const line of lines) {
        if (!line.startsWith('data:')) continue;
        const data = line.slice(5).trim();
        if (data === '[DONE]') return;
        yield JSON.parse(data);
      }
    }
  } catch (error) {
    if (error instanceof TypeError) throw new ApiError(0, 'The connection was lost in the middle of the answer.');
    throw error;
  } finally {
    reader.cancel().catch(() => {});
  }
}
