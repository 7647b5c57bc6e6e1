// What pages do beside being read. Every page can be read without it.
(() => {
  'use strict'
  const $ = (selector, root = document) => root.querySelector(selector)
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)]

  // ---- times that pass ----------------------------------------------------------------------

  function rough(secs) {
    if (secs < 60) return `${Math.floor(secs)} s`
    if (secs < 3600) return `${Math.floor(secs / 60)} min`
    if (secs < 86400) return `${Math.floor(secs / 3600)} h`
    return `${Math.floor(secs / 86400)} d`
  }

  function running(secs) {
    if (secs < 60) return `${secs.toFixed(1)} s`
    if (secs < 3600) return `${Math.floor(secs / 60)} min ${String(Math.floor(secs % 60)).padStart(2, '0')} s`
    return `${Math.floor(secs / 3600)} h ${String(Math.floor(secs % 3600 / 60)).padStart(2, '0')} min`
  }

  function tick() {
    const now = Date.now()
    for (const time of $$('time[datetime]')) {
      const ago = (now - Date.parse(time.dateTime)) / 1000
      time.textContent = ago < -1 ? `in ${rough(-ago)}` : ago < 2 ? 'just now' : `${rough(ago)} ago`
    }
    for (const span of $$('[data-since]')) {
      span.textContent = running(Math.max(0, now - Number(span.dataset.since)) / 1000)
    }
  }

  // ---- lists --------------------------------------------------------------------------------

  // The first picture of a film, once its row is seen.
  const peeks = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue
      peeks.unobserve(target)
      target.addEventListener('loadeddata', () => target.classList.add('seen'), { once: true })
      target.preload = 'metadata'
      target.src = `${target.dataset.peek}#t=0.5`
    }
  }, { rootMargin: '100px' })

  function picks() { return $$('.pick input') }

  function told() {
    const chosen = picks().filter((box) => box.checked).length
    const label = $('[data-selected]')
    if (!label) return
    label.textContent = chosen ? `${chosen} selected` : 'Select'
    for (const button of $$('.bulk button[name=act]')) button.disabled = chosen === 0
    const all = $('[data-all]')
    all.checked = chosen > 0 && chosen === picks().length
    all.indeterminate = chosen > 0 && chosen < picks().length
  }

  function move(by) {
    const rows = $$('.row')
    if (rows.length === 0) return
    const at = rows.findIndex((row) => row.classList.contains('here'))
    const to = Math.min(rows.length - 1, Math.max(0, at === -1 ? 0 : at + by))
    rows.forEach((row, n) => row.classList.toggle('here', n === to))
    rows[to].scrollIntoView({ block: 'nearest' })
    $('.name', rows[to]).focus({ preventScroll: true })
  }

  document.addEventListener('keydown', (event) => {
    const typing = event.target.closest('input:not([type=checkbox]), textarea, select, video, audio, dialog[open]')
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return
    const here = $('.row.here')
    switch (event.key) {
      case 'j': move(1); break
      case 'k': move(-1); break
      case 'x':
        if (here) { const box = $('.pick input', here); box.checked = !box.checked; told() }
        break
      case '/':
        if ($('#q')) { event.preventDefault(); $('#q').focus(); $('#q').select() }
        break
      case 'n': location.href = '/ui/new'; break
      case 'g': location.href = '/'; break
      case '?': $('#keys').showModal(); break
    }
  })

  document.addEventListener('change', (event) => {
    if (event.target.matches('[data-all]')) {
      for (const box of picks()) box.checked = event.target.checked
    }
    if (event.target.matches('[data-all], .pick input')) told()
  })

  document.addEventListener('click', async (event) => {
    const button = event.target.closest('button, a')
    if (!button) return
    if (button.matches('[data-keys]')) $('#keys').showModal()
    if (button.matches('[data-copy]')) {
      const text = $(button.dataset.copy).textContent
      const said = button.textContent
      try {
        await navigator.clipboard.writeText(text)
        button.textContent = 'Copied'
      } catch {
        getSelection().selectAllChildren($(button.dataset.copy))
        button.textContent = 'Selected'
      }
      setTimeout(() => { button.textContent = said }, 1500)
    }
    if (button.matches('[data-drop]')) button.closest('.task').remove()
  })

  document.addEventListener('submit', (event) => {
    const by = event.submitter
    if (by?.dataset.confirm && !confirm(by.dataset.confirm)) event.preventDefault()
  })

  // ---- a job --------------------------------------------------------------------------------

  // A link is good for an hour; a page may be open for a day.
  function ended() {
    if ($('[data-ended]')) location.reload()
  }

  // Times and places of a list of thumbnails.
  function cues(text, base) {
    const secs = (time) => time.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
    const found = []
    for (const block of text.split(/\r?\n\r?\n/)) {
      const lines = block.trim().split(/\r?\n/)
      const at = lines.findIndex((line) => line.includes('-->'))
      if (at < 0 || !lines[at + 1]) continue
      const [from, to] = lines[at].split('-->').map((time) => secs(time.trim().split(' ')[0]))
      const url = new URL(lines[at + 1], base)
      const area = /xywh=(\d+),(\d+),(\d+),(\d+)/.exec(url.hash)
      url.hash = ''
      if (area) found.push({ from, to, url: url.href, area: area.slice(1).map(Number) })
    }
    return found
  }

  async function scrubbing(video) {
    const base = new URL(video.dataset.sprite, location.href)
    const answer = await fetch(base)
    if (!answer.ok) return
    const pictures = cues(await answer.text(), base)
    if (pictures.length === 0) return
    const bar = document.createElement('div')
    bar.className = 'scrub'
    bar.dataset.label = 'Move along to look ahead; press to go there'
    const sheet = document.createElement('div')
    sheet.className = 'sheet'
    sheet.hidden = true
    bar.append(sheet)
    video.after(bar)
    const at = (event) => {
      const box = bar.getBoundingClientRect()
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width))
      return { x: event.clientX - box.left, width: box.width, secs: share * (video.duration || pictures.at(-1).to) }
    }
    bar.addEventListener('pointermove', (event) => {
      const { x, width, secs } = at(event)
      const picture = pictures.findLast((cue) => cue.from <= secs) ?? pictures[0]
      const [left, top, w, h] = picture.area
      Object.assign(sheet.style, {
        width: `${w}px`, height: `${h}px`,
        left: `${Math.min(width - w, Math.max(0, x - w / 2))}px`,
        backgroundImage: `url("${picture.url}")`, backgroundPosition: `-${left}px -${top}px`,
      })
      sheet.hidden = false
      bar.dataset.label = running(secs)
      bar.dataset.shown = String(picture.from)
    })
    bar.addEventListener('pointerleave', () => { sheet.hidden = true })
    bar.addEventListener('click', (event) => { video.currentTime = at(event).secs })
  }

  async function waveform(canvas) {
    const audio = $('audio', canvas.closest('figure'))
    const answer = await fetch(canvas.dataset.waveform)
    if (!answer.ok || !audio) return
    const shape = await answer.json()
    // Lowest and highest in turn, as audiowaveform writes them.
    const pairs = []
    for (let n = 0; n + 1 < shape.data.length; n += 2) pairs.push([shape.data[n], shape.data[n + 1]])
    const most = Math.max(0.0001, ...pairs.map(([low, high]) => Math.max(-low, high)))
    const draw = () => {
      const ratio = devicePixelRatio || 1
      const width = canvas.clientWidth, height = canvas.clientHeight
      canvas.width = width * ratio
      canvas.height = height * ratio
      const paint = canvas.getContext('2d')
      paint.scale(ratio, ratio)
      const style = getComputedStyle(canvas)
      const played = audio.duration ? audio.currentTime / audio.duration : 0
      const bars = Math.floor(width / 3)
      for (let n = 0; n < bars; n++) {
        const from = Math.floor(n / bars * pairs.length), to = Math.max(from + 1, Math.floor((n + 1) / bars * pairs.length))
        let low = 0, high = 0
        for (let i = from; i < to && i < pairs.length; i++) {
          low = Math.min(low, pairs[i][0])
          high = Math.max(high, pairs[i][1])
        }
        const up = Math.max(1, high / most * height * 0.46), down = Math.max(1, -low / most * height * 0.46)
        paint.fillStyle = n / bars < played ? style.outlineColor : style.color
        paint.fillRect(n * 3, height / 2 - up, 2, up + down)
      }
      canvas.dataset.drawn = String(pairs.length)
    }
    new ResizeObserver(draw).observe(canvas)
    audio.addEventListener('timeupdate', draw)
    canvas.addEventListener('click', (event) => {
      if (audio.duration) audio.currentTime = event.offsetX / canvas.clientWidth * audio.duration
      audio.play()
    })
  }

  function playlist(video) {
    const url = video.dataset.playlist
    if (window.Hls?.isSupported()) {
      const hls = new window.Hls({ enableWorker: false, capLevelToPlayerSize: true })
      hls.loadSource(url)
      hls.attachMedia(video)
    } else {
      video.src = url
    }
  }

  // ---- a new job ----------------------------------------------------------------------------

  function form(element) {
    const tasks = $('#tasks')
    const add = $('.add')
    let next = Number($('[data-next]', add)?.dataset.next ?? 1)
    add.addEventListener('click', async (event) => {
      const chip = event.target.closest('[data-add]')
      if (!chip) return
      event.preventDefault()
      const answer = await fetch(`/ui/new/task?kind=${chip.dataset.add}&n=${next++}`)
      tasks.insertAdjacentHTML('beforeend', await answer.text())
      tasks.lastElementChild.querySelector('input:not([type=hidden]), select, summary')?.focus()
    })
    $('[data-curl]').addEventListener('click', async (event) => {
      event.preventDefault()
      const answer = await fetch('/ui/new/curl', { method: 'POST', body: new URLSearchParams(new FormData(element)) })
      $('#curl').innerHTML = await answer.text()
      $('#curl').scrollIntoView({ block: 'nearest' })
    })
    uploads(element)
  }

  // By the tus protocol, a piece at a time; what has arrived is never sent again.
  function uploads(element) {
    const box = $('#upload'), bar = $('progress', box), said = $('[role=status]', box)
    const again = $('[data-again]', box), stop = $('[data-stop]', box)
    const token = $('[name=token]', element).value
    const PIECE = 8 << 20
    const call = (url, method, headers, body, signal) =>
      fetch(url, { method, body, signal, headers: { 'tus-resumable': '1.0.0', 'x-form-token': token, ...headers } })
    let under = null

    async function begin(file) {
      stop.hidden = false
      under = { file, url: null, control: new AbortController() }
      const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name)))
      const answer = await call(element.dataset.upload, 'POST', { 'upload-length': file.size, 'upload-metadata': `filename ${name}` })
      if (!answer.ok) throw new Error((await answer.json()).message)
      under.id = answer.headers.get('location').split('/').pop()
      under.url = `${element.dataset.upload}/${under.id}`
    }

    async function rest() {
      const { file, url, control } = under
      const known = await call(url, 'HEAD', {}, undefined, control.signal)
      if (!known.ok) throw new Error('the upload is not known any more')
      let at = Number(known.headers.get('upload-offset'))
      while (at < file.size) {
        told(at, file.size)
        const piece = file.slice(at, at + PIECE)
        const headers = { 'upload-offset': at, 'content-type': 'application/offset+octet-stream' }
        const answer = await call(url, 'PATCH', headers, piece, control.signal)
        if (answer.status === 409) {
          const now = await call(url, 'HEAD', {}, undefined, control.signal)
          at = Number(now.headers.get('upload-offset'))
          continue
        }
        if (!answer.ok) throw Object.assign(new Error((await answer.json()).message), { isFinal: true })
        at = Number(answer.headers.get('upload-offset'))
      }
      told(at, file.size)
      said.textContent = `${file.name} is here`
      again.hidden = stop.hidden = true
      $('#url').value = `${location.origin}/uploads/${under.id}`
      $('#url').dispatchEvent(new Event('input', { bubbles: true }))
    }

    function told(at, of) {
      const percent = of ? Math.floor(at / of * 100) : 0
      bar.value = percent
      said.textContent = `${under.file.name}: ${percent} %`
    }

    // Tries by itself a few times, a little later each time, then lets the person say when.
    async function send() {
      for (let wait = 500, tries = 0; ; tries++, wait *= 2) {
        try {
          if (!under.url) await begin(under.file)
          return await rest()
        } catch (error) {
          if (error.name === 'AbortError') return
          if (error.isFinal || tries >= 5) {
            said.textContent = error.isFinal ? error.message : 'The connection broke. What has arrived is kept.'
            again.hidden = Boolean(error.isFinal)
            return
          }
          said.textContent = `The connection broke; going on in ${Math.round(wait / 100) / 10} s`
          await new Promise((later) => setTimeout(later, wait))
        }
      }
    }

    function take(file) {
      if (!file) return
      box.hidden = false
      again.hidden = true
      under = { file, url: null, control: new AbortController() }
      told(0, file.size)
      send()
    }

    $('#file').addEventListener('change', (event) => take(event.target.files[0]))
    again.addEventListener('click', () => { again.hidden = true; send() })
    stop.addEventListener('click', () => {
      under?.control.abort()
      if (under?.url) call(under.url, 'DELETE', {})
      box.hidden = true
    })
    const hasFiles = (event) => event.dataTransfer?.types.includes('Files')
    let depth = 0
    addEventListener('dragenter', (event) => { if (hasFiles(event)) { depth++; document.body.classList.add('dropping') } })
    addEventListener('dragleave', (event) => { if (hasFiles(event) && --depth <= 0) document.body.classList.remove('dropping') })
    addEventListener('dragover', (event) => { if (hasFiles(event)) event.preventDefault() })
    addEventListener('drop', (event) => {
      if (!hasFiles(event)) return
      event.preventDefault()
      depth = 0
      document.body.classList.remove('dropping')
      take(event.dataTransfer.files[0])
    })
  }

  // ---- now and after each change ------------------------------------------------------------

  function arrange() {
    for (const video of $$('video[data-peek]:not([src])')) peeks.observe(video)
    tick()
    ended()
  }

  for (const part of $$('[data-scripted]')) part.hidden = false
  const here = $('[data-here]')
  if (here) {
    const query = new URLSearchParams(location.search)
    query.delete('did')
    here.value = query.size ? `/?${query}` : '/'
  }
  if ($('#new')) form($('#new'))
  for (const video of $$('video[data-sprite]')) scrubbing(video)
  for (const canvas of $$('canvas[data-waveform]')) waveform(canvas)
  for (const video of $$('video[data-playlist]')) playlist(video)
  told()
  arrange()
  setInterval(tick, 1000)
  document.addEventListener('htmx:after:swap', arrange)
})()
