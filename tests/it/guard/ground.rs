//! The servers and names that one cell is tried on.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reelway::outbound::{Client, Guard, Resolve, TableResolver};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Stands for the public internet.
pub(super) const PUBLIC: &str = "127.0.0.2";

/// Must never be asked.
pub(super) const PRIVATE: &str = "127.0.0.1";

/// The time between the bytes of [`Act::Drip`].
const DRIP: Duration = Duration::from_millis(100);

/// What the public server does after it has read the head of a request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes again and again until nobody listens.
    Forever(Vec<u8>),
    /// Sends these bytes one by one, slowly, again and again.
    Drip(Vec<u8>),
    /// Keeps the connection open and silent.
    Hang,
    /// Breaks the connection, so that the other end gets a reset.
    Reset,
}

/// How the public server takes connections.
#[derive(Clone)]
pub(super) enum Door {
    /// It talks at once.
    Open,
    /// It talks after a handshake with a certificate.
    Tls(TlsAcceptor),
    /// It takes no connection: the system's queue for it is full.
    Full,
}

/// What was asked of the public server: heads of requests, in lower case.
type Heads = Arc<Mutex<Vec<String>>>;

/// How many acts there are for the request with this number, from 0.
pub(super) type Script = Arc<dyn Fn(usize) -> Vec<Act> + Send + Sync>;

/// Servers of one port on both addresses, and the names that lead to them.
pub(super) struct Ground {
    pub(super) port: u16,
    pub(super) names: Arc<Names>,
    roots: rustls::RootCertStore,
    heads: Heads,
    sent: Arc<AtomicU64>,
    trespasses: Arc<AtomicUsize>,
    clock: Arc<Clock>,
    /// Fills the queue of a door that takes nobody.
    _crowd: Vec<TcpStream>,
    _stop: DropGuard,
}

/// Time as it is, or as fast as nothing else happens.
#[derive(Debug, Default)]
struct Clock {
    may_jump: bool,
    jumps: AtomicBool,
}

impl Clock {
    /// From now on only time will pass.
    fn jump(&self) {
        if self.may_jump && !self.jumps.swap(true, Ordering::SeqCst) {
            tokio::time::pause();
        }
    }

    fn walk(&self) {
        if self.jumps.swap(false, Ordering::SeqCst) {
            tokio::time::resume();
        }
    }
}

/// A table of names, one of which may never be answered.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) table: TableResolver,
    clock: Arc<Clock>,
    /// Whether the next step is known to hang.
    then_hangs: bool,
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if self.then_hangs {
            self.clock.jump();
        }
        if host == "silent.example" {
            self.clock.jump();
            std::future::pending::<()>().await;
        }
        self.table.resolve(host).await
    }
}

impl Ground {
    /// The servers of one cell. `may_jump` says whether the client's waits may be skipped: not
    /// where a database is waited for as well.
    pub(super) async fn of(
        names: TableResolver,
        door: Door,
        roots: rustls::RootCertStore,
        script: Script,
        may_jump: bool,
    ) -> Self {
        let clock = Arc::new(Clock { may_jump, ..Clock::default() });
        let then_hangs = matches!(door, Door::Full);
        let names = Arc::new(Names { table: names, clock: clock.clone(), then_hangs });
        let stop = CancellationToken::new();
        let (public, private) = same_port().await;
        let port = public.local_addr().expect("an address").port();
        let (heads, sent) = (Heads::default(), Arc::new(AtomicU64::new(0)));
        let trespasses = Arc::new(AtomicUsize::new(0));
        let counted = trespasses.clone();
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok(_taken) = private.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }));
        let mut crowd = Vec::new();
        if then_hangs {
            crowd = fill(public, stop.clone()).await;
        } else {
            let host = Host {
                door,
                script,
                heads: heads.clone(),
                sent: sent.clone(),
                clock: clock.clone(),
            };
            tokio::spawn(host.serve(public, stop.clone()));
        }
        let stop = stop.drop_guard();
        Self { port, names, roots, heads, sent, trespasses, clock, _crowd: crowd, _stop: stop }
    }

    /// A client for which only the public address of this machine is public.
    pub(super) fn client(&self) -> Client {
        let guard = Guard::new(vec![format!("{PUBLIC}/32").parse().expect("a network")]);
        Client::with_roots(guard, self.names.clone(), self.roots.clone())
    }

    /// Time passes as usual from now on.
    pub(super) fn settle(&self) {
        self.clock.walk();
    }

    /// The heads of all requests so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many bytes the public server got rid of.
    pub(super) fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// How many connections the private server saw.
    pub(super) fn trespasses(&self) -> usize {
        self.trespasses.load(Ordering::SeqCst)
    }
}

/// A port that is free on both addresses: a name that changes its mind keeps its port.
async fn same_port() -> (TcpListener, TcpListener) {
    loop {
        let public = TcpListener::bind((PUBLIC, 0)).await.expect("a port");
        let port = public.local_addr().expect("an address").port();
        if let Ok(private) = TcpListener::bind((PRIVATE, port)).await {
            return (public, private);
        }
    }
}

/// A listener whose queue is full: the system answers nobody else.
async fn fill(listener: TcpListener, stop: CancellationToken) -> Vec<TcpStream> {
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(address).expect("the same port");
    let listener = socket.listen(1).expect("a listener");
    let mut crowd = Vec::new();
    loop {
        let connecting =
            tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address));
        match connecting.await {
            Ok(stream) => crowd.push(stream.expect("a connection")),
            Err(_) => break,
        }
    }
    tokio::spawn(async move {
        stop.cancelled().await;
        drop(listener);
    });
    crowd
}

/// The public server.
#[derive(Clone)]
struct Host {
    door: Door,
    script: Script,
    heads: Heads,
    sent: Arc<AtomicU64>,
    clock: Arc<Clock>,
}

impl Host {
    async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
            let (host, stop) = (self.clone(), stop.clone());
            tokio::spawn(stop.run_until_cancelled_owned(async move {
                match &host.door {
                    Door::Tls(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            let name = stream.get_ref().1.server_name().unwrap_or("-").to_owned();
                            host.talk(stream, Some(name)).await;
                        }
                    }
                    Door::Open | Door::Full => host.talk(stream, None).await,
                }
            }));
        }
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin + Linger>(
        &self,
        mut stream: S,
        server_name: Option<String>,
    ) {
        let Some(mut head) = read(&mut stream).await else {
            // What a web server says to a handshake, and to all else that is no request.
            let _gone = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            return;
        };
        if let Some(name) = server_name {
            head.push_str(&format!("tls-name: {name}\r\n"));
        }
        let number = {
            let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
            heads.push(head);
            heads.len() - 1
        };
        for act in (self.script)(number) {
            if self.play(&mut stream, act).await.is_err() {
                return;
            }
        }
        // A clean end, so that what was sent is not lost in a reset.
        let _gone = stream.shutdown().await;
    }

    async fn play<S: AsyncWrite + Unpin + Linger>(
        &self,
        stream: &mut S,
        act: Act,
    ) -> io::Result<()> {
        match act {
            Act::Send(bytes) => self.write(stream, &bytes).await,
            Act::Forever(bytes) => loop {
                self.write(stream, &bytes).await?;
            },
            Act::Drip(bytes) => {
                self.clock.jump();
                for byte in bytes.iter().cycle() {
                    self.write(stream, &[*byte]).await?;
                    tokio::time::sleep(DRIP).await;
                }
                Ok(())
            }
            Act::Hang => {
                self.clock.jump();
                std::future::pending().await
            }
            Act::Reset => {
                stream.reset_on_close();
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
    }

    async fn write<S: AsyncWrite + Unpin>(&self, stream: &mut S, bytes: &[u8]) -> io::Result<()> {
        stream.write_all(bytes).await?;
        stream.flush().await?;
        self.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Ok(())
    }
}

/// Whether a stream can end in a reset.
trait Linger {
    fn reset_on_close(&self);
}

impl Linger for TcpStream {
    fn reset_on_close(&self) {
        self.set_zero_linger().expect("an open socket");
    }
}

impl Linger for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}

/// The head of a request, and its body out of the way.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let is_handshake = bytes.first() == Some(&0x16);
        if is_handshake || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |n| n.parse().expect("a number"));
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(head)
}
