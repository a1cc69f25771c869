/// The API over HTTP: JSON requests in, JSON answers and server-sent events out, numbers for
/// Prometheus.
///
/// [dev.prestage.control.api.ApiServer] translates between HTTP and
/// [dev.prestage.control.command.Commands] and decides nothing itself: names are checked by who
/// executes the commands. Answers are the records of [dev.prestage.control.command.Reply], with
/// their field names.
///
/// | Route | Command |
/// |---|---|
/// | `POST /v1/vms` `{"vm", "program", "image", "tenant"}` | RegisterVm |
/// | `GET /v1/vms`, `GET /v1/vms/{vm}` | ShowVms |
/// | `DELETE /v1/vms/{vm}?force=` | RemoveVm |
/// | `DELETE /v1/images/{image}` | PurgeImage |
/// | `POST /v1/vms/{vm}/start`, `POST /v1/vms/{vm}/stop` | StartProgram, StopProgram |
/// | `GET /v1/vms/{vm}/forecast?limit=` | ShowForecast |
/// | `POST /v1/allocations` `{"vm"}` (202), `GET /v1/allocations/{id}?wait=` | Allocate, ShowAllocation |
/// | `GET /v1/leases?vm=&limit=` | ShowLeases |
/// | `GET /v1/report` | ShowReport |
/// | `GET /v1/programs/{program}/rank?tenant=` | RankProgram |
/// | `GET /v1/tiers` | ShowTiers |
/// | `GET /v1/webhooks` | ShowWebhooks |
/// | `GET /v1/host` | ShowHost |
/// | `GET /v1/history?program=&vm=&since=&until=&limit=` | ShowHistory; the last hour by default |
/// | `GET /v1/history/top`, `timeline`, `transitions`, `sequences` | ShowTop, ShowTimeline, ShowTransitions, ShowSequences |
/// | `GET /v1/history/export` | ReadHistory, page after page; CSV |
/// | `PUT /v1/predicting` `{"on"}` | SetPredicting |
/// | `GET /v1/models` | ShowModels |
/// | `POST /v1/models/{program}/training?tenant=` (202) | TrainModel |
/// | `POST /v1/models/{program}/rebuild?tenant=` (202) | RebuildModel |
/// | `GET /v1/models/{program}/versions?tenant=`, `POST /v1/models/{program}/rollback?tenant=&version=` | ShowModelVersions, RollBackModel |
/// | `GET /v1/models/{program}/diff?tenant=&from=&to=` | DiffModels |
/// | `GET /v1/models/{program}?tenant=`, `POST /v1/models` | ExportModel, ImportModel; octets |
/// | `GET /v1/events` | notices as server-sent events, from `Last-Event-ID` on |
/// | `GET /health` | ShowHealth; 200 also when degraded |
/// | `GET /metrics` | ShowCounters |
///
/// A command without an answer of its own is a 204. Errors are RFC 9457 problems
/// (`application/problem+json`) with `type`, `title`, `status` and a `detail` of one line. Unknown
/// fields and unknown parameters are refused by name.
///
/// On the unix socket only root and the user of this process are served, by the socket's mode and
/// by the kernel's peer credentials; on TCP only who sends the token, and without a token there is
/// no TCP.
///
/// Threading: one virtual thread per connection.
@NullMarked
package dev.prestage.control.api;

import org.jspecify.annotations.NullMarked;
