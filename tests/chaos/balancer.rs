//! What stands in front of servers: it asks each whether it is ready, and leads connections to one
//! that is.
//!
//! It carries bytes and knows nothing of HTTP but the status line of `/readyz`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::client;

/// How often each server is asked.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// A running balancer.
pub(crate) struct Balancer {
    pub(crate) url: String,
    servers: Arc<Mutex<Vec<Server>>>,
    running: Vec<JoinHandle<()>>,
}

struct Server {
    port: u16,
    is_ready: bool,
}

impl Balancer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let servers = Arc::<Mutex<Vec<Server>>>::default();
        let (asked, led) = (servers.clone(), servers.clone());
        let asking = tokio::spawn(async move {
            let http = client();
            let mut ticks = tokio::time::interval(ASK_EVERY);
            loop {
                ticks.tick().await;
                ask(&http, &asked).await;
            }
        });
        let leading = tokio::spawn(async move {
            let turn = AtomicUsize::new(0);
            while let Ok((stream, _)) = listener.accept().await {
                let turn = turn.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(lead(stream, ready(&led), turn));
            }
        });
        Self { url, servers, running: vec![asking, leading] }
    }

    /// One more server, which gets connections as soon as it is ready.
    pub(crate) fn add(&self, port: u16) {
        locked(&self.servers).push(Server { port, is_ready: false });
    }

    /// Whether this server gets connections just now.
    pub(crate) fn leads_to(&self, port: u16) -> bool {
        ready(&self.servers).contains(&port)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.running.iter().for_each(JoinHandle::abort);
    }
}

fn locked(servers: &Mutex<Vec<Server>>) -> MutexGuard<'_, Vec<Server>> {
    servers.lock().expect("nobody panics here")
}

fn ready(servers: &Mutex<Vec<Server>>) -> Vec<u16> {
    locked(servers).iter().filter(|server| server.is_ready).map(|server| server.port).collect()
}

async fn ask(http: &reqwest::Client, servers: &Mutex<Vec<Server>>) {
    let ports: Vec<u16> = locked(servers).iter().map(|server| server.port).collect();
    for port in ports {
        let answer = http.get(format!("http://127.0.0.1:{port}/readyz")).send().await;
        let is_ready = answer.is_ok_and(|answer| answer.status().is_success());
        let mut servers = locked(servers);
        servers.iter_mut().filter(|server| server.port == port).for_each(|server| {
            server.is_ready = is_ready;
        });
    }
}

/// To the server whose turn it is; to the next where that one takes no connection.
async fn lead(mut stream: TcpStream, ports: Vec<u16>, turn: usize) {
    for n in 0..ports.len() {
        let port = ports[(turn + n) % ports.len()];
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if let Ok(mut server) = TcpStream::connect(address).await {
            // Either end may end it.
            let _ended = copy_bidirectional(&mut stream, &mut server).await;
            return;
        }
    }
}
