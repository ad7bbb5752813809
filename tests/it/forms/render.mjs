// Renders forms as docs/how-to/forms.md does, and says what JSON Forms made of them. Reads a list of {schema, uischema, data} from standard
// input, and writes a list of {html, controls, errors, warnings}.
import { readFileSync } from 'node:fs';
import { createElement as h } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { useJsonForms } from '@jsonforms/react';
import { Form, renderers } from './form.mjs';

let warnings = [];
console.warn = (...words) => warnings.push(words.map(String).join(' '));

function render({ schema, uischema, data }) {
  warnings = [];
  let errors = [];
  // What each renderer makes of its element is in an element of its own.
  const traced = renderers.map(({ tester, renderer }) => ({
    tester,
    renderer: (properties) => {
      errors = useJsonForms().core.errors;
      return h('x-renderer', { 'data-scope': properties.uischema.scope ?? '' }, h(renderer, properties));
    },
  }));
  const html = renderToStaticMarkup(h(Form, { schema, uischema, data, renderers: traced }));
  const controls = {};
  for (const [, scope, attributes] of html.matchAll(/<x-renderer data-scope="(#[^"]*)">(?:<\w+([^>]*)>)?/g)) {
    controls[scope] = attributes === undefined ? 'empty' : / hidden=/.test(attributes) ? 'hidden' : 'shown';
  }
  const told = errors.map(({ instancePath, keyword, message }) => ({ path: instancePath, keyword, message }));
  return { html, controls, errors: told, warnings };
}

const cases = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(cases.map(render)));
