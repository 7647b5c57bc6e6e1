//! A wire between two parties that can be held, cut, cut off for good, or made to lie.
//!
//! It carries bytes over loopback and knows nothing of what they mean.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Bytes go through.
    Pass,
    /// Nothing moves, on old connections and new ones, until the mode changes.
    Hold,
    /// Every connection is reset.
    Reset,
    /// A connection is reset after this many bytes have come back on it.
    CutAfter(usize),
    /// Whatever is asked on a new connection, this is answered, and it ends.
    Answer(&'static str),
    /// Passes, until a client sends this text: its connection never moves again.
    Trap(&'static str),
}

#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    /// Connections made before this one never move again.
    first_living: usize,
}

/// A listener on loopback that carries every connection to a server.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: watch::Sender<State>,
    made: Arc<AtomicUsize>,
    trapped: watch::Receiver<usize>,
}

impl Proxy {
    /// To the server at `to`, passing.
    pub(crate) async fn to(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (state, _) = watch::channel(State { mode: Mode::Pass, first_living: 0 });
        let (traps, trapped) = watch::channel(0);
        let made = Arc::<AtomicUsize>::default();
        let line = Line { to: to.to_owned(), state: state.subscribe(), traps };
        let count = made.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(line.clone().carry(client, number));
            }
        });
        Self { address, state, made, trapped }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }

    /// What a server that moves to another machine leaves behind: the connections that there are
    /// never move again and are never closed; new ones pass.
    pub(crate) fn strand(&self) {
        let made = self.made.load(Ordering::SeqCst);
        self.state.send_modify(|state| state.first_living = made);
    }

    /// Waits until a connection has gone into the trap.
    pub(crate) async fn trapped(&self) {
        let mut trapped = self.trapped.clone();
        trapped.wait_for(|count| *count > 0).await.expect("the proxy runs");
    }
}

#[derive(Clone)]
struct Line {
    to: String,
    state: watch::Receiver<State>,
    traps: watch::Sender<usize>,
}

/// Which way bytes went.
enum Moved {
    Up(usize),
    Down(usize),
    Neither,
}

impl Line {
    async fn carry(mut self, mut client: TcpStream, number: usize) {
        let Ok(mut server) = TcpStream::connect(&self.to).await else { return reset(&client) };
        let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        let mut came_back = 0;
        loop {
            let State { mode, first_living } = *self.state.borrow_and_update();
            if number < first_living {
                return std::future::pending().await;
            }
            match mode {
                Mode::Reset => return reset(&client),
                Mode::Answer(answer) => return tell(client, answer).await,
                Mode::Hold => {
                    if self.state.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                Mode::Pass | Mode::CutAfter(_) | Mode::Trap(_) => {}
            }
            let moved = tokio::select! {
                changed = self.state.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    Ok(Moved::Neither)
                }
                read = client.read(&mut up) => read.map(Moved::Up),
                read = server.read(&mut down) => read.map(Moved::Down),
            };
            let written = match moved {
                Ok(Moved::Neither) => continue,
                Ok(Moved::Up(0) | Moved::Down(0)) | Err(_) => return,
                Ok(Moved::Up(count)) => {
                    if matches!(mode, Mode::Trap(text) if holds(&up[..count], text)) {
                        self.traps.send_modify(|traps| *traps += 1);
                        return std::future::pending().await;
                    }
                    server.write_all(&up[..count]).await
                }
                Ok(Moved::Down(count)) => {
                    came_back += count;
                    if matches!(mode, Mode::CutAfter(bytes) if came_back > bytes) {
                        return reset(&client);
                    }
                    client.write_all(&down[..count]).await
                }
            };
            if written.is_err() {
                return;
            }
        }
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The connection ends without a farewell when it is dropped.
fn reset(client: &TcpStream) {
    // One that is gone already needs none.
    let _gone = client.set_zero_linger();
}

async fn tell(mut client: TcpStream, answer: &str) {
    let mut asked = [0; 4 << 10];
    if client.read(&mut asked).await.is_ok_and(|count| count > 0) {
        // A client that does not listen has its answer all the same.
        let _told = client.write_all(answer.as_bytes()).await;
        let _ended = client.shutdown().await;
        // Closing with bytes unread would reset the connection and lose the answer.
        while client.read(&mut asked).await.is_ok_and(|count| count > 0) {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// A server that sends back what it gets.
    async fn echo() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        Proxy::to(&address).await
    }

    async fn said(stream: &mut TcpStream, words: &str) -> std::io::Result<String> {
        stream.write_all(words.as_bytes()).await?;
        let mut answer = vec![0; 64];
        let count = stream.read(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
    }

    #[tokio::test]
    async fn a_wire_passes_holds_and_resets_as_it_is_told() {
        let wire = echo().await;
        let mut stream = TcpStream::connect(wire.address).await.expect("a connection");
        assert_eq!(said(&mut stream, "one").await.expect("an answer"), "one");
        wire.set(Mode::Hold);
        let held = timeout(Duration::from_millis(300), said(&mut stream, "two")).await;
        assert!(held.is_err(), "{held:?}");
        wire.set(Mode::Pass);
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await.expect("what was held comes through");
        assert_eq!(&answer, b"two");
        wire.set(Mode::Reset);
        let ended = stream.read(&mut answer).await.map_err(|error| error.kind());
        assert_eq!(ended, Err(ErrorKind::ConnectionReset));
    }

    #[tokio::test]
    async fn a_wire_cuts_an_answer_short_and_gives_one_of_its_own() {
        let wire = echo().await;
        wire.set(Mode::CutAfter(4));
        let mut stream = TcpStream::connect(wire.address).await.expect("a connection");
        assert_eq!(said(&mut stream, "four").await.expect("an answer"), "four");
        let cut = said(&mut stream, "more").await.map_err(|error| error.kind());
        assert_eq!(cut, Err(ErrorKind::ConnectionReset));
        wire.set(Mode::Answer("no"));
        let mut stream = TcpStream::connect(wire.address).await.expect("a connection");
        assert_eq!(said(&mut stream, "please").await.expect("an answer"), "no");
    }

    #[tokio::test]
    async fn a_trap_and_a_stranded_connection_never_move_again_and_others_do() {
        let wire = echo().await;
        wire.set(Mode::Trap("secret"));
        let mut caught = TcpStream::connect(wire.address).await.expect("a connection");
        let mut left = TcpStream::connect(wire.address).await.expect("a connection");
        assert_eq!(said(&mut left, "open").await.expect("an answer"), "open");
        let silent = Duration::from_millis(300);
        assert!(timeout(silent, said(&mut caught, "a secret word")).await.is_err());
        wire.trapped().await;
        wire.strand();
        assert!(timeout(silent, said(&mut left, "more")).await.is_err());
        let mut new = TcpStream::connect(wire.address).await.expect("a connection");
        assert_eq!(said(&mut new, "new").await.expect("an answer"), "new");
    }
}
