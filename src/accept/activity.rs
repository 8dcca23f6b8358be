//! Whether a connection is at work: part of ① accept.
//!
//! Counts requests until the last byte of their answers, so that a connection on which
//! nothing happens can be told from one on which a watch is merely quiet.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};

/// The requests of one connection.
#[derive(Clone, Default)]
pub(super) struct Activity(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// One request that is not answered yet.
pub(super) struct Busy(Activity);

/// The body of an answer; the request ends with it.
pub(super) struct Flowing<B> {
    body: Option<B>,
    _busy: Busy,
}

impl Activity {
    /// A request begins.
    pub(super) fn begin(&self) -> Busy {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Returns once the connection has carried no request for `limit`; at the latest after
    /// twice that time.
    pub(super) async fn idle(&self, limit: Duration) {
        let mut before = self.0.begun.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(limit).await;
            let begun = self.0.begun.load(Ordering::Relaxed);
            if begun == before && self.0.ended.load(Ordering::Relaxed) == begun {
                return;
            }
            before = begun;
        }
    }
}

impl Busy {
    /// Lets the request last as long as the body of its answer. There is none in an answer
    /// to HEAD, which HTTP/2 would take for a broken one (RFC 9113 §8.1.1).
    pub(super) fn until_the_end_of<B>(self, body: Option<B>) -> Flowing<B> {
        Flowing { body, _busy: self }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl<B: Body + Unpin> Body for Flowing<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_idle_only_without_a_request_under_way() {
        let activity = Activity::default();
        let limit = Duration::from_millis(5);
        let quiet = |times| {
            let activity = activity.clone();
            async move {
                tokio::time::timeout(limit * times, activity.idle(limit))
                    .await
                    .is_ok()
            }
        };
        let busy = activity.begin();
        assert!(!quiet(20).await, "a watch that is quiet");
        let answer = busy.until_the_end_of(Some(http_body_util::Empty::<bytes::Bytes>::new()));
        assert!(!quiet(20).await, "an answer that flows");
        drop(answer);
        assert!(quiet(200).await);
    }
}
