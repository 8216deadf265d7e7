// @ts-check
// A conversation as the body of POST /v1/chat/completions.
/** @import {Message, Settings} from './types.js' */

/** Settings that are sent under their own names where they are set. @type {(keyof Settings)[]} */
const sampling = ['temperature', 'top_p', 'top_k', 'min_p', 'repetition_penalty', 'presence_penalty', 'frequency_penalty',
                  'max_tokens', 'seed'];

/** @returns {Settings} */
export function emptySettings() {
  return {
    system: '', tools: '', reasoning_effort: '', temperature: null, top_p: null, top_k: null, min_p: null,
    repetition_penalty: null, presence_penalty: null, frequency_penalty: null, max_tokens: null, seed: null,
  };
}

/** @param {Message} message */
function userMessage(message) {
  if (!message.attachments.length) return {role: 'user', content: message.text};
  const parts = message.attachments.map(({kind, url}) => kind === 'image'
    ? {type: 'image_url', image_url: {url}} : {type: 'video_url', video_url: {url}});
  return {role: 'user', content: message.text ? [...parts, {type: 'text', text: message.text}] : parts};
}

/** @param {Message} message */
function assistantMessage(message) {
  return {
    role: 'assistant', content: message.text,
    ...(message.reasoning && {reasoning_content: message.reasoning}),
    ...(message.calls.length && {
      tool_calls: message.calls.map((call) => ({
        id: call.id, type: 'function', function: {name: call.name, arguments: call.arguments},
      })),
    }),
  };
}

/** @param {Message} message @returns {object[]} */
function toApi(message) {
  if (message.role === 'user') return [userMessage(message)];
  if (message.role === 'tool')
    return message.results.map(({id, text}) => ({role: 'tool', tool_call_id: id, content: text}));
  // An answer that failed before its first word says nothing to the model.
  return message.text || message.calls.length ? [assistantMessage(message)] : [];
}

/**
 * @param {Message[]} path the messages before the answer
 * @param {Settings} settings
 * @param {string} model
 */
export function requestBody(path, settings, model) {
  const system = settings.system.trim() ? [{role: 'system', content: settings.system}] : [];
  /** @type {Record<string, any>} */
  const body = {messages: [...system, ...path.flatMap(toApi)], stream: true, stream_options: {include_usage: true}};
  if (model) body.model = model;
  for (const name of sampling) if (settings[name] !== null) body[name] = settings[name];
  if (settings.reasoning_effort) body.reasoning_effort = settings.reasoning_effort;
  if (settings.tools.trim()) body.tools = JSON.parse(settings.tools);
  return body;
}
