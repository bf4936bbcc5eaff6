#!/usr/bin/env node
// echo, in another language
const lines = require('readline').createInterface({ input: process.stdin });
let id = '';
lines.on('line', (line) => {
  const { src, body } = JSON.parse(line);
  const answer = { in_reply_to: body.msg_id, type: `${body.type}_ok` };
  if (body.type === 'init') id = body.node_id;
  if (body.type === 'echo') answer.echo = body.echo;
  console.log(JSON.stringify({ src: id, dest: src, body: answer }));
});
