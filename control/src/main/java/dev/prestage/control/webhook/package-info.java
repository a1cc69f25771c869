/// Notices to addresses that the configuration names, as HTTP requests (webhooks).
///
/// [dev.prestage.control.webhook.Webhooks] has a [dev.prestage.control.webhook.WebhookSender] for
/// each. A sender is one more listener of the [dev.prestage.control.notice.NoticeHub] with a
/// bounded queue of its own, so a receiver that hangs delays nobody. Nothing else is ever called:
/// redirects are not followed, and no proxy is asked.
///
/// Each notice is sent until the receiver has taken it, in the order of their ids, so at least
/// once; it is given up as a dead letter when it was tried too often, or when so many newer ones
/// have come that its queue is full. Nothing is kept over a restart of the control plane.
///
/// Threading: two platform threads for each address.
@NullMarked
package dev.prestage.control.webhook;

import org.jspecify.annotations.NullMarked;
