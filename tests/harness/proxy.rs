//! A TCP proxy that breaks connections as networks do: cut, half-open, slow.
//!
//! Before it: a host or a client has the proxy's address in its transport URL. After it: the broker. Two threads a
//! connection and one that accepts; all of them end with the value.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that pass at once.
const CHUNK: usize = 16 << 10;

/// Bytes that pass at once when the way is slow: less than most frames.
const SLOW_CHUNK: usize = 256;

/// What each of these then costs.
const SLOW_PAUSE: Duration = Duration::from_millis(2);

/// A way of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From who connected to the broker.
    There,
    /// From the broker.
    Back,
}

/// A proxy that forwards to one address, until told otherwise.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    connections: Vec<Connection>,
    /// Ways on which nothing passes, of connections that are and that come.
    stopped: Vec<Way>,
    slow: bool,
    refusing: bool,
    closed: bool,
}

/// Both sockets of a connection.
#[derive(Debug)]
struct Connection {
    number: u64,
    sockets: [TcpStream; 2],
    /// Nothing passes any more, and nobody is told.
    forgotten: bool,
}

impl Proxy {
    /// Starts to forward to `target`, an address `127.0.0.1:PORT`.
    pub(crate) fn start(target: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let shared = Arc::new(Shared::default());
        let (accepting, target) = (Arc::clone(&shared), target.to_owned());
        std::thread::spawn(move || {
            for (number, client) in (0..).zip(listener.incoming()) {
                let state = accepting.lock();
                if state.closed {
                    return;
                }
                if state.refusing {
                    continue;
                }
                drop(state);
                // Where nobody listens, the client's socket is closed at once.
                if let (Ok(client), Ok(broker)) = (client, TcpStream::connect(&target)) {
                    accepting.connect(number, [client, broker]);
                }
            }
        });
        Self { address, shared }
    }

    /// Where it listens, `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }

    /// Cuts all connections, both ways; returns how many. New ones may come.
    pub(crate) fn cut(&self) -> usize {
        let mut state = self.shared.lock();
        let connections = std::mem::take(&mut state.connections);
        self.shared.changed.notify_all();
        connections.iter().for_each(Connection::cut);
        connections.len()
    }

    /// Forwards nothing more on the connections that are, without closing them, as after a power cut on the way. New
    /// ones may come.
    pub(crate) fn forget(&self) -> usize {
        let mut state = self.shared.lock();
        state.connections.iter_mut().for_each(|connection| connection.forgotten = true);
        self.shared.changed.notify_all();
        state.connections.len()
    }

    /// Holds back what goes one way, on connections that are and that come, until [`Proxy::go_on`].
    pub(crate) fn hold(&self, way: Way) {
        self.shared.lock().stopped.push(way);
    }

    /// Lets pass what was held back.
    pub(crate) fn go_on(&self) {
        self.shared.lock().stopped.clear();
        self.shared.changed.notify_all();
    }

    /// Closes connections that come at once, or lets them through again: the broker is down, or up.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.shared.lock().refusing = refuse;
    }

    /// Makes the way slow, or as fast as it can be.
    pub(crate) fn slow(&self, slow: bool) {
        self.shared.lock().slow = slow;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.cut();
        // So that the thread that accepts sees it.
        TcpStream::connect(&self.address).ok();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked with the lock held has already failed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(self: &Arc<Self>, number: u64, sockets: [TcpStream; 2]) {
        let clone = |socket: &TcpStream| {
            socket.set_nodelay(true).ok();
            socket.try_clone().expect("a descriptor is free")
        };
        let [client, broker] = &sockets;
        let (to_broker, to_client) = ((clone(client), clone(broker)), (clone(broker), clone(client)));
        self.lock().connections.push(Connection { number, sockets, forgotten: false });
        for (way, (from, to)) in [(Way::There, to_broker), (Way::Back, to_client)] {
            let shared = Arc::clone(self);
            std::thread::spawn(move || shared.forward(number, way, from, to));
        }
    }

    /// Forwards one way of a connection until it ends.
    fn forward(&self, number: u64, way: Way, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = from.read(&mut buffer).unwrap_or(0);
            let Some(slow) = self.may_pass(number, way) else { return };
            let passed = if slow { write_slowly(&mut to, &buffer[..length]) } else { to.write_all(&buffer[..length]) };
            // The end passes as well, for both ways: nobody speaks AMQP into a connection that is half closed.
            if length == 0 || passed.is_err() {
                return self.end(number);
            }
        }
    }

    fn end(&self, number: u64) {
        let mut state = self.lock();
        if let Some(place) = state.connections.iter().position(|connection| connection.number == number) {
            state.connections.remove(place).cut();
        }
    }

    /// Waits until the connection may forward, and says whether slowly; `None` once it is cut.
    fn may_pass(&self, number: u64, way: Way) -> Option<bool> {
        let mut state = self.lock();
        loop {
            let connection = state.connections.iter().find(|connection| connection.number == number)?;
            if !connection.forgotten && !state.stopped.contains(&way) {
                return Some(state.slow);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Connection {
    fn cut(&self) {
        for socket in &self.sockets {
            // It may have been closed already.
            socket.shutdown(Shutdown::Both).ok();
        }
    }
}

fn write_slowly(to: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    for chunk in bytes.chunks(SLOW_CHUNK) {
        to.write_all(chunk)?;
        std::thread::sleep(SLOW_PAUSE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets, and a proxy to it.
    fn echo() -> (Proxy, TcpListener) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let proxy = Proxy::start(&listener.local_addr().expect("it is bound").to_string());
        (proxy, listener)
    }

    fn connect(proxy: &Proxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(proxy.address()).expect("the proxy listens");
        let (server, _) = listener.accept().expect("the proxy connects");
        for stream in [&client, &server] {
            stream.set_read_timeout(Some(super::super::PATIENCE)).expect("not zero");
        }
        (client, server)
    }

    fn send(from: &mut TcpStream, to: &mut TcpStream, text: &[u8]) {
        from.write_all(text).expect("connected");
        let mut arrived = vec![0; text.len()];
        to.read_exact(&mut arrived).expect("it arrives");
        assert_eq!(arrived, text);
    }

    #[test]
    fn what_is_cut_ends_on_both_sides_and_new_connections_come() {
        let (proxy, listener) = echo();
        let (mut client, mut server) = connect(&proxy, &listener);
        send(&mut client, &mut server, b"there");
        proxy.slow(true);
        send(&mut server, &mut client, &[7; 5 * SLOW_CHUNK]);
        assert_eq!(proxy.cut(), 1);
        assert_eq!((client.read(&mut [0]).unwrap_or(0), server.read(&mut [0]).unwrap_or(0)), (0, 0));
        let (mut client, mut server) = connect(&proxy, &listener);
        send(&mut server, &mut client, b"back");
        drop(server);
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
        super::super::eventually("the end", || (proxy.connections() == 0).then_some(()));
    }

    #[test]
    fn what_is_held_back_comes_later_and_what_is_forgotten_never() {
        let (proxy, listener) = echo();
        let (mut client, mut server) = connect(&proxy, &listener);
        proxy.hold(Way::Back);
        server.write_all(b"late").expect("connected");
        send(&mut client, &mut server, b"there");
        client.set_nonblocking(true).expect("it can be");
        assert!(client.read(&mut [0]).is_err());
        client.set_nonblocking(false).expect("it can be");
        proxy.go_on();
        let mut late = [0; 4];
        client.read_exact(&mut late).expect("it arrives");
        assert_eq!(proxy.forget(), 1);
        client.write_all(b"lost").expect("nobody is told");
        drop(client);
        server.set_nonblocking(true).expect("it can be");
        assert!(server.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
}
