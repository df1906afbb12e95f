"""A generated TypeScript client teaches its head in a real browser, with LiteRT.js and IndexedDB."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeship.runtimes.clients.lanes import LANES
from edgeship.runtimes.clients.tools import LITERT_JS, TYPESCRIPT
from tests.deploy.codegen.conftest import edgeship, run
from tests.deploy.codegen.test_readme import code_block
from tests.learning.head.conftest import Made, made  # noqa: F401  # a fixture
from tests.web_demo.conftest import browser  # noqa: F401  # a fixture

pytestmark = pytest.mark.more
PAGE = """<!doctype html><title>A client</title>
<script type="importmap">{"imports": {"@litertjs/core": "/npm/@litertjs/core/dist/index.js",
"@litertjs/wasm-utils": "/npm/@litertjs/wasm-utils/dist/index.js"}}</script>"""
# What a page of an app does; the modules are those that tsc made of the client.
OPEN = """async () => {
  const {loadAndCompile, loadLiteRt, Tensor} = await import('@litertjs/core');
  const {BASE, DESCRIPTION, FIRST_LESSON} = await import('/build/learning/description.js');
  const {liteRtEngine} = await import('/build/engineLiteRtJs.js');
  const {browserStore} = await import('/build/learning/browserStore.js');
  const {HeadLearner} = await import('/build/learning/learner.js');
  const {checkLearning} = await import('/build/learning/lessons.js');
  const fetched = (folder) => async (name) => (await fetch(`/${folder}/${name}`)).arrayBuffer();
  await loadLiteRt('/npm/@litertjs/core/wasm/');
  const model = await fetched('head')('base.tflite');
  const engine = liteRtEngine(await loadAndCompile(new Uint8Array(model), {accelerator: 'wasm'}), Tensor, BASE);
  const store = browserStore('pictures');
  const open = () => HeadLearner.open(engine, fetched('head'), store);
  globalThis.app = {learner: await open(), open, store, DESCRIPTION, FIRST_LESSON};
  app.check = () => checkLearning({engine, read: fetched('head'), model}, fetched('goldens'));
  app.numbers = async (name) => new Float32Array(await fetched('goldens')(name));
  app.say = async () => {
    const [answer] = app.learner.answerFeatures((await app.numbers('learning.features')).slice(0, DESCRIPTION.features));
    return {hasLearned: app.learner.hasLearned, samples: app.learner.samples, answer: [...answer]};
  };
  return app.say();
}"""
LEARN = """async () => {
  const {features} = app.DESCRIPTION, {added: count} = app.FIRST_LESSON;
  const numbers = await app.numbers('learning.samples');
  const target = numbers.slice(count * features);
  await app.learner.collectFeatures({count, features: numbers.slice(0, count * features), target});
  const {kept} = await app.learner.learn();
  return {kept, ...(await app.say())};
}"""
DAMAGE = """async () => {
  const content = await app.store.read('head.bin');
  content[300] ^= 1;
  await app.store.write('head.bin', content);
  app.learner = await app.open();
  return app.say();
}"""
FORGET = """async () => {
  await app.learner.forget();
  app.learner = await app.open();
  return {...(await app.say()), kept: [await app.store.read('head.bin'), await app.store.read('samples.bin')].filter(Boolean)};
}"""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Modules name each other without the end of a file's name, as a bundler of pages takes them."""

    def translate_path(self, path: str) -> str:
        found = super().translate_path(path)
        return found if Path(found).exists() or not path.startswith("/build/") else f"{found}.js"

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def page_of_client(made: Made, tmp_path: Path, missing) -> Iterator[str]:  # noqa: F811
    """The address of a page beside a compiled client."""
    if reason := LANES["client-ts-litert"].unavailable_reason():
        missing(f"client-ts-litert: {reason} (make clients)")
    edgeship("deploy", "codegen", made.bundle, "--for", "typescript", "--out", tmp_path)
    client = tmp_path / "typescript"
    (client / "node_modules").symlink_to(TYPESCRIPT.folder / "node_modules")
    compiler = TYPESCRIPT.folder / "node_modules" / "typescript" / "bin" / "tsc"
    run("node", compiler, "-p", ".", "--module", "es2022", "--moduleResolution", "bundler", cwd=client)
    (client / "npm").symlink_to(LITERT_JS.folder / "node_modules")
    (client / "index.html").write_text(PAGE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(client)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_page_learns_and_keeps_it(page_of_client, browser):  # noqa: F811
    with browser() as opened:
        context = opened.new_context()
        page = context.new_page()
        page.goto(page_of_client)
        shipped = page.evaluate(OPEN)
        assert not shipped["hasLearned"] and shipped["samples"] == 0
        assert page.evaluate("() => app.check()") == []
        learned = page.evaluate(LEARN)
        assert learned.pop("kept") and learned["hasLearned"] and learned["answer"] != shipped["answer"]
        page.close()
        page = context.new_page()
        page.goto(page_of_client)
        assert page.evaluate(OPEN) == learned
        assert page.evaluate(DAMAGE) == {**learned, "hasLearned": False, "answer": shipped["answer"]}
        assert page.evaluate(FORGET) == {**shipped, "kept": []}


def test_what_the_readme_says_compiles(made, tmp_path, missing):  # noqa: F811
    """With LiteRT.js's and react-native-fast-tflite's own types."""
    if reason := LANES["client-ts-litert"].unavailable_reason():
        missing(f"client-ts-litert: {reason} (make clients)")
    edgeship("deploy", "codegen", made.bundle, "--for", "typescript", "--out", tmp_path)
    client = tmp_path / "typescript"
    (client / "node_modules").mkdir()
    for tool in (TYPESCRIPT, LITERT_JS):
        for package in (tool.folder / "node_modules").iterdir():
            if not (client / "node_modules" / package.name).exists():
                (client / "node_modules" / package.name).symlink_to(package)
    code = code_block(client / "README.md", "ts", "HeadLearner").splitlines()
    imports = [line for line in code if line.startswith("import ")]
    given = [
        "import type {CompiledModel, Tensor as TensorType} from '@litertjs/core' with {'resolution-mode': 'import'};",
        "import type {TfliteModel} from 'react-native-fast-tflite';",
        "import type {Picture} from './core';",
        "import {fastTfliteEngine} from './engineFastTflite';",
        "import {liteRtEngine} from './engineLiteRtJs';",
        "import {memoryStore} from './learning/store';",
        "import {selfTest} from './selftest';",
        "export const openNative = (model: TfliteModel, read: (name: string) => Promise<ArrayBuffer>) =>",
        "  HeadLearner.open(fastTfliteEngine(model, BASE), read, memoryStore());",
        "export async function teach(loadAndCompile: (path: string, options: {accelerator: 'wasm'}) => Promise<CompiledModel>,",
        "  Tensor: typeof TensorType, picture: Picture, right: number) {",
    ]
    rest = [line for line in code if line not in imports]
    last = (
        "return [best, kept, reason, await selfTest(base, readHead, '', undefined, {engine: base, read: readHead})];\n}"
    )
    (client / "src" / "taught.ts").write_text("\n".join([*imports, *given, *rest, last]))
    run("node", client / "node_modules/typescript/bin/tsc", "-p", ".", "--noEmit", "--skipLibCheck", cwd=client)
