//! A server on a socket of its own: started, and stopped when its answers are out.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Answers that take longer are cut off at the end.
const STOP_WITHIN: Duration = Duration::from_secs(10);

pub(crate) struct DemoServer {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl DemoServer {
    pub(crate) async fn start(address: SocketAddr, router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        // A sender that is dropped stops it, too.
        let stopped = async {
            let _ = stopped.await;
        };
        let server = axum::serve(listener, router).with_graceful_shutdown(stopped);
        Ok(Self { address, stop, task: tokio::spawn(server.into_future()) })
    }

    /// Takes no more requests, and waits for the answers that are under way.
    pub(crate) async fn stop(self) {
        let _already_gone = self.stop.send(());
        let abort = self.task.abort_handle();
        if tokio::time::timeout(STOP_WITHIN, self.task).await.is_err() {
            abort.abort();
        }
    }
}
