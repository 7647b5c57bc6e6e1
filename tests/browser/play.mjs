// Plays a package in Chromium, every rendition of it, and says what was seen as one line of JSON.
//
//   node play.mjs hls|dash URL
//
// The page is on an origin of its own, as a user's page would be.

import { createServer } from 'node:http'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const [kind, url] = process.argv.slice(2)
const libraries = { hls: 'hls.js/dist/hls.min.js', dash: 'dashjs/dist/legacy/umd/dash.all.min.js' }
const library = readFileSync(new URL(`node_modules/${libraries[kind]}`, import.meta.url))

const page = '<!doctype html><video id="video" muted playsinline></video><script src="/library.js"></script>'
const server = createServer((request, response) => {
  const isLibrary = request.url === '/library.js'
  response.setHeader('content-type', isLibrary ? 'text/javascript' : 'text/html')
  response.end(isLibrary ? library : page)
})
await new Promise((listening) => server.listen(0, '127.0.0.1', listening))

const profile = mkdtempSync(join(tmpdir(), 'reelway-browser-'))
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--autoplay-policy=no-user-gesture-required',
  ],
})

// In the page: begins to play, then asks for one rendition after the other.
const players = {
  async hls(url) {
    const seen = { levels: [], errors: [], types: {} }
    const video = document.getElementById('video')
    const hls = new Hls({ capLevelToPlayerSize: false })
    hls.on(Hls.Events.ERROR, (_, error) => error.fatal && seen.errors.push(`${error.details}: ${error.error}`))
    const ready = new Promise((parsed) => hls.on(Hls.Events.MANIFEST_PARSED, parsed))
    hls.loadSource(url)
    hls.attachMedia(video)
    await Promise.race([ready, wait(() => seen.errors.length > 0)])
    for (const [number, level] of hls.levels.entries()) {
      for (const codec of level.codecs.split(',')) {
        const type = `${codec.startsWith('mp4a') ? 'audio' : 'video'}/mp4; codecs="${codec}"`
        seen.types[type] = MediaSource.isTypeSupported(type)
      }
      hls.currentLevel = number
      seen.levels.push(await watched(video, level.height, seen))
    }
    seen.duration = video.duration
    seen.subtitles = hls.subtitleTracks.map((track) => track.lang ?? '')
    if (seen.subtitles.length > 0) {
      hls.subtitleTrack = 0
      await wait(() => video.textTracks[0]?.cues?.length > 0)
      seen.cue = video.textTracks[0]?.cues?.[0]?.text
    }
    return seen
  },
  async dash(url) {
    const seen = { levels: [], errors: [], types: {} }
    const video = document.getElementById('video')
    const player = dashjs.MediaPlayer().create()
    player.on('error', ({ error }) => seen.errors.push(`${error.code}: ${error.message}`))
    player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false } } } })
    const ready = new Promise((begun) => player.on('streamInitialized', begun))
    player.initialize(video, url, true)
    await Promise.race([ready, wait(() => seen.errors.length > 0)])
    for (const representation of player.getRepresentationsByType('video')) {
      player.setRepresentationForTypeById('video', representation.id, true)
      seen.levels.push(await watched(video, representation.height, seen))
    }
    seen.duration = video.duration
    return seen
  },
}

// Also in the page: plays from the beginning until pictures of this height move.
const helpers = `
  async function wait(condition) {
    for (let tries = 0; tries < 600; tries++) {
      if (condition()) return true
      await new Promise((again) => setTimeout(again, 50))
    }
    return false
  }
  async function watched(video, height, seen) {
    video.currentTime = 0
    video.play().catch((error) => seen.errors.push(String(error)))
    await wait(() => video.videoHeight === height || seen.errors.length > 0)
    const from = video.currentTime
    const moved = await wait(() => video.currentTime > from + 0.5 || video.ended || seen.errors.length > 0)
    const quality = video.getVideoPlaybackQuality()
    return { height, shown: video.videoHeight, moved: moved && video.currentTime > from, pictures: quality.totalVideoFrames }
  }
`

try {
  const tab = await browser.newPage()
  await tab.goto(`http://127.0.0.1:${server.address().port}/`)
  await tab.addScriptTag({ content: helpers })
  console.log(JSON.stringify(await tab.evaluate(players[kind], url)))
} finally {
  await browser.close()
  rmSync(profile, { recursive: true, force: true })
  server.close()
}
