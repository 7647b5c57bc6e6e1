// A person in front of the pages, in Chromium: what they do, what they see, what is written down
// for others to look at. Says what was seen as one line of JSON.
//
//   node dashboard.mjs SCENE SETTINGS    (settings as JSON)

import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const [scene, text] = process.argv.slice(2)
const settings = JSON.parse(text ?? '{}')
const profile = mkdtempSync(join(tmpdir(), 'reelway-browser-'))
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--autoplay-policy=no-user-gesture-required',
  ],
})

// What no page may ever do: run a script of a stranger's, break its own policy, throw.
const wrongs = []

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, locale: 'en-GB', ...options })
  context.setDefaultTimeout(30_000)
  const page = await context.newPage()
  page.on('pageerror', (error) => wrongs.push(`thrown: ${error.message}`))
  page.on('dialog', (dialog) => {
    if (dialog.type() === 'confirm') return dialog.accept()
    wrongs.push(`a dialog: ${dialog.message()}`)
    return dialog.dismiss()
  })
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) wrongs.push(message.text())
  })
  return page
}

const at = (path) => new URL(path, settings.url).href

// Whether the film under `selector` shows pictures that move.
async function moves(page, selector) {
  await page.waitForSelector(selector)
  return page.evaluate(async (selector) => {
    const media = document.querySelector(selector)
    media.muted = true
    await media.play()
    for (let tries = 0; tries < 200 && media.currentTime < 0.3; tries++) {
      await new Promise((again) => setTimeout(again, 50))
    }
    media.pause()
    return { secs: media.currentTime, width: media.videoWidth ?? 0 }
  }, selector)
}

const scenes = {
  // The first visit, a form with two tasks, progress that moves, outputs that play.
  async submit() {
    const page = await open()
    await page.goto(at('/'))
    assert.match(await page.textContent('h1'), /Nothing here yet/)
    await page.fill('#first-url', settings.source)
    await page.click('text=Go on')
    await page.waitForURL('**/ui/new?**')
    assert.equal(await page.inputValue('#url'), settings.source)
    await page.fill('[id="t0.width"]', '320')
    await page.click('[data-add=image]')
    await page.fill('[id="t1.width"]', '160')
    await page.fill('#webhook_url', settings.receiver)
    await page.click('text=Show as curl')
    const curl = await page.textContent('#curl-text')
    assert.match(curl, /"kind": "image"/)
    await page.click('[data-send]')
    await page.waitForURL('**/ui/batches/**')
    const rows = await page.locator('.row').count()
    await page.waitForFunction(() => document.querySelectorAll('.status.succeeded').length >= 3)
    await page.goto(at('/?kind=video'))
    await page.click('.name')
    const seen = await moves(page, '.show video')
    assert.ok(seen.secs > 0.2, 'the film moves')
    await page.waitForSelector('.delivery .status.delivered')
    return { rows, curl, width: seen.width }
  },

  // A long job: the bar moves by itself; a person stops it, and then tries again.
  async progress() {
    const page = await open()
    await page.goto(at(`/ui/new?kind=video&url=${encodeURIComponent(settings.source)}`))
    await page.click('[data-send]')
    await page.waitForURL('**/ui/jobs/job_*')
    const read = () => page.evaluate(() => Number(document.querySelector('.now progress')?.value ?? -1))
    const seen = new Set()
    for (let tries = 0; tries < 600 && seen.size < 3; tries++) {
      const value = await read()
      if (value > 0) seen.add(value)
      await page.waitForTimeout(100)
    }
    await page.click('text=Cancel')
    await page.waitForSelector('.now .status.cancelled')
    await page.waitForSelector('.now >> text=Retry')
    return { steps: seen.size }
  },

  // What was made is played, looked ahead in, drawn.
  async outputs() {
    const page = await open()
    await page.goto(at(settings.video))
    const film = await moves(page, '.show video')
    const bar = await page.waitForSelector('.scrub')
    const box = await bar.boundingBox()
    const looked = []
    for (const share of [0.1, 0.9]) {
      await page.mouse.move(box.x + box.width * share, box.y + 5)
      await page.waitForSelector('.scrub .sheet:not([hidden])')
      looked.push(Number(await bar.getAttribute('data-shown')))
    }
    await page.mouse.click(box.x + box.width * 0.5, box.y + 5)
    const gone = await page.evaluate(() => document.querySelector('.show video').currentTime)
    await page.goto(at(settings.audio))
    await page.waitForSelector('canvas[data-drawn]')
    const points = Number(await page.getAttribute('canvas', 'data-drawn'))
    const sound = await moves(page, '.show audio')
    await page.goto(at(settings.adaptive))
    const package_ = await moves(page, '.show video')
    return { film, looked, gone, points, sound, package: package_ }
  },

  // A job that fails says why and what to do, in words.
  async failure() {
    const page = await open()
    await page.goto(at(`/ui/new?kind=video&url=${encodeURIComponent(settings.source)}`))
    await page.click('[data-send]')
    await page.waitForURL('**/ui/jobs/job_*')
    await page.waitForSelector('.trouble')
    const told = await page.textContent('.trouble')
    await page.goto(at('/?status=failed'))
    return { told, row: await page.textContent('.row .how') }
  },

  // A receiver that was down: its answer is read, the push is replayed and arrives.
  async replay() {
    const page = await open()
    await page.goto(at(`/ui/jobs/${settings.job}`))
    await page.waitForSelector('.delivery .answer.ill')
    const answer = await page.textContent('.delivery .answer.ill')
    await page.click('text=Replay')
    await page.waitForSelector('.delivery .status.delivered')
    return { answer }
  },

  async sign_in() {
    const page = await open()
    await page.goto(at('/ui/new?kind=audio'))
    await page.waitForURL('**/ui/sign-in?next=**')
    await page.fill('#password', 'not the key')
    await page.click('button:text("Sign in")')
    const refused = await page.textContent('.notice.bad')
    await page.fill('#password', settings.key)
    await page.click('button:text("Sign in")')
    await page.waitForURL('**/ui/new?kind=audio')
    const cookies = await page.context().cookies()
    const scripted = await page.evaluate(() => document.cookie)
    const foreign = await page.evaluate(() => fetch('/jobs').then((answer) => answer.status))
    await page.click('text=Sign out')
    await page.waitForURL('**/ui/sign-in')
    await page.goto(at('/'))
    await page.waitForURL('**/ui/sign-in?next=**')
    return { refused, cookies, scripted, foreign }
  },

  // The connection is cut in the middle of a file, twice; the rest arrives, and the job is made of it.
  async upload() {
    let cuts = 2
    let passed = 0
    const proxy = createServer((socket) => {
      const server = connect(Number(new URL(settings.url).port), '127.0.0.1')
      let sent = 0
      socket.on('data', (bytes) => {
        sent += bytes.length
        passed += bytes.length
        if (cuts > 0 && sent > (3 << 20)) {
          cuts--
          socket.destroy()
          server.destroy()
        } else if (!server.destroyed) {
          server.write(bytes)
        }
      })
      server.on('data', (bytes) => socket.destroyed || socket.write(bytes))
      for (const [one, other] of [[socket, server], [server, socket]]) {
        one.on('error', () => other.destroy())
        one.on('end', () => other.end())
      }
    })
    await new Promise((listening) => proxy.listen(0, '127.0.0.1', listening))
    const page = await open()
    const offsets = []
    page.on('response', (answer) => {
      if (answer.request().method() === 'HEAD') offsets.push(Number(answer.headers()['upload-offset']))
    })
    await page.goto(`http://127.0.0.1:${proxy.address().port}/ui/new?kind=image`)
    await page.setInputFiles('#file', settings.file)
    await page.waitForFunction(() => document.querySelector('#url').value !== '', undefined, { timeout: 60_000 })
    const url = await page.inputValue('#url')
    await page.click('[data-send]')
    await page.waitForURL('**/ui/jobs/job_*')
    await page.waitForSelector('.show img')
    const loaded = await page.evaluate(async () => {
      const image = document.querySelector('.show img')
      await image.decode()
      return image.naturalWidth
    })
    proxy.close()
    return { url, cuts, passed, loaded, offsets }
  },

  // What strangers have written stands there as text.
  async hostile() {
    const page = await open()
    const texts = []
    for (const path of settings.paths) {
      await page.goto(at(path))
      await page.waitForTimeout(700)
      texts.push(await page.evaluate(() => document.body.innerText))
      const marked = await page.evaluate(() => document.querySelectorAll('img[src="x"], script:not([src]), [onerror], b.evil').length)
      assert.equal(marked, 0, path)
      assert.equal(await page.evaluate(() => window.evil), undefined, path)
    }
    return { texts }
  },

  // Everything can be read without scripts.
  async unscripted() {
    const page = await open({ javaScriptEnabled: false })
    const texts = []
    for (const path of settings.paths) {
      await page.goto(at(path))
      texts.push(await page.innerText('main'))
    }
    return { texts }
  },

  // The keyboard alone: move, select, act, search, help.
  async keyboard() {
    const page = await open()
    await page.goto(at('/'))
    await page.keyboard.press('j')
    await page.keyboard.press('j')
    const second = await page.evaluate(() => document.activeElement.href)
    await page.keyboard.press('x')
    const selected = await page.textContent('[data-selected]')
    await page.keyboard.press('?')
    await page.waitForSelector('#keys[open]')
    await page.keyboard.press('Escape')
    await page.keyboard.press('/')
    const focused = await page.evaluate(() => document.activeElement.id)
    await page.fill('#q', settings.search)
    await page.keyboard.press('Enter')
    await page.waitForURL('**/?**q=**')
    const found = await page.locator('.row').count()
    await page.goto(at('/?status=failed'))
    await page.check('[data-all]')
    await page.click('.bulk >> text=Delete')
    await page.waitForURL('**did=delete-**')
    return { second, selected, focused, found, did: await page.textContent('.notice') }
  },

  // Each page as it looks, and what axe says of it.
  async looks() {
    const axe = fileURLToPath(new URL('node_modules/axe-core/axe.min.js', import.meta.url))
    mkdirSync(settings.folder, { recursive: true })
    const forms = {
      light: { colorScheme: 'light' },
      dark: { colorScheme: 'dark' },
      phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true },
    }
    const found = []
    for (const [form, options] of Object.entries(forms)) {
      // axe is put in by the test itself, past the pages' policy; nothing else may be.
      const page = await open({ ...options, bypassCSP: true, reducedMotion: 'reduce' })
      if (settings.key) {
        await page.goto(at('/ui/sign-in'))
        await page.fill('#password', settings.key)
        await page.click('button:text("Sign in")')
      }
      for (const [name, path] of Object.entries(settings.pages)) {
        await page.goto(at(path))
        await page.waitForTimeout(500)
        await page.screenshot({ path: join(settings.folder, `${name}-${form}.png`), fullPage: true })
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        if (wide > 0) found.push(`${name} ${form}: ${wide} px too wide`)
        await page.addScriptTag({ path: axe })
        const { violations } = await page.evaluate(() => window.axe.run(document, {
          runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
        }))
        for (const { id, impact, nodes } of violations) {
          if (['serious', 'critical'].includes(impact)) {
            found.push(`${name} ${form}: ${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`)
          }
        }
      }
      await page.context().close()
    }
    return { found }
  },
}

try {
  const seen = await scenes[scene]()
  assert.deepEqual(wrongs, [])
  console.log(JSON.stringify(seen))
} finally {
  await browser.close()
  rmSync(profile, { recursive: true, force: true })
}
