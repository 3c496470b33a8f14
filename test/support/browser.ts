// What a browser does with pages without scripts: it follows redirects, fills in a form and sends it.
// In: addresses. Out: the page that is there in the end, with its forms. An `Origin` goes along with
// every form, as browsers send it. Not here: scripts, cookies.

export interface Page {
  readonly url: string;
  readonly status: number;
  readonly text: string;
  readonly forms: readonly Form[];
}

interface Form {
  readonly action: string;
  readonly fields: Readonly<Record<string, string>>;
}

export const visit = async (url: string): Promise<Page> => {
  const answer = await fetch(url);
  return pageOf(answer);
};

/** Sends the page's nth form; `fields` are what a person typed or chose. */
export const submit = async (
  page: Page,
  fields: Readonly<Record<string, string>> = {},
  nth = 0,
): Promise<Page> => {
  const form = page.forms[nth];
  if (form === undefined) throw new Error(`${page.url} has no form:\n${page.text}`);
  const answer = await fetch(form.action, {
    method: 'POST',
    body: new URLSearchParams({ ...form.fields, ...fields }),
    headers: { origin: new URL(page.url).origin },
  });
  return pageOf(answer);
};

const pageOf = async (answer: Response): Promise<Page> => {
  const text = await answer.text();
  const forms = [...text.matchAll(/<form([^>]*)>([\s\S]*?)<\/form>/g)].map(
    ([, head = '', body = '']) => ({
      action: new URL(attribute(head, 'action') ?? answer.url, answer.url).toString(),
      fields: Object.fromEntries(fieldsOf(body)),
    }),
  );
  return { url: answer.url, status: answer.status, text, forms };
};

/** Of radio buttons the one that is checked. */
const fieldsOf = (body: string): readonly (readonly [string, string])[] =>
  [...body.matchAll(/<input([^>]*)>/g)].flatMap(([, input = '']) => {
    const name = attribute(input, 'name');
    const isOff = attribute(input, 'type') === 'radio' && !/\schecked\b/.test(input);
    return name === null || isOff ? [] : [[name, attribute(input, 'value') ?? ''] as const];
  });

const attribute = (tag: string, name: string): string | null => {
  const found = new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1];
  return found === undefined ? null : unescaped(found);
};

const unescaped = (text: string): string =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
