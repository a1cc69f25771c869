package dev.prestage.engine.predict;

/// Where a stream stands: its last request and what is known of earlier ones like it. Reused; read
/// by experts while they collect and judge candidates.
final class Situation {
  /// As far as a match is walked back, in requests.
  static final int MOST_LENGTH = 24;

  /// As many earlier occurrences of the current request have a vote.
  static final int VOTERS = 4;

  final int[] voters = new int[VOTERS];
  RequestLog log = new RequestLog();
  int position;
  long unit;
  int lead;
  int best;
  int second;
  boolean isBestOfThree;
  int length;
  int lengthClass;
  int voterCount;

  /// How many requests long the sequence is that the last request runs on, units a request by which
  /// it advances, or a lead.
  int run;

  float speed;
  float unitsPerLead;

  /// The state of the log that was looked at, and whose last request.
  private int requests;

  private int streamId;

  /// Looks at the last request of a stream.
  ///
  /// @param requestsAhead requests of the stream that pass until a unit which is asked for now is
  ///   here
  void look(RequestLog at, RequestLog.Stream stream, int requestsAhead) {
    lead = requestsAhead;
    if (log != at || requests != at.requests() || streamId != stream.id()) {
      log = at;
      requests = at.requests();
      streamId = stream.id();
      position = log.last(stream);
      if (position != RequestLog.NONE) {
        look(stream);
      }
    }
    unitsPerLead = speed * (lead + 1);
  }

  private void look(RequestLog.Stream stream) {
    unit = log.first(position);
    run = log.run(position);
    speed = log.speed(position);
    int pair = log.earlierPair(position);
    int triple = log.lastAfterThree(stream);
    isBestOfThree = triple != RequestLog.NONE;
    best = isBestOfThree ? triple : pair;
    second = pair == best && pair != RequestLog.NONE ? log.earlierPair(pair) : pair;
    length = matchLength();
    lengthClass = lengthClass(length);
    voterCount = 0;
    int voter = log.earlier(position);
    while (voter != RequestLog.NONE && voterCount < VOTERS) {
      voters[voterCount++] = voter;
      voter = log.earlier(voter);
    }
  }

  private int matchLength() {
    if (best == RequestLog.NONE) {
      return 0;
    }
    int matched = 1;
    int mine = log.before(position);
    int other = log.before(best);
    while (matched < MOST_LENGTH
        && mine != RequestLog.NONE
        && other != RequestLog.NONE
        && log.first(mine) == log.first(other)) {
      matched++;
      mine = log.before(mine);
      other = log.before(other);
    }
    return matched;
  }

  /// Offsets behind the lead in classes: 0, 1, 2, 3-4, 5-8, 9-16, more.
  static final int OFFSETS = 7;

  static int offsetClass(int offset) {
    return offset < 3 ? offset : Math.min(6, 33 - Integer.numberOfLeadingZeros(offset - 1));
  }

  /// The match's length in classes: none, 1-2, 3, 4-5, 6-8, 9-12, 13-23, 24.
  static final int LENGTHS = 8;

  private static int lengthClass(int length) {
    if (length <= 2) {
      return length == 0 ? 0 : 1;
    }
    if (length <= 5) {
      return length == 3 ? 2 : 3;
    }
    if (length <= 12) {
      return length <= 8 ? 4 : 5;
    }
    return length < MOST_LENGTH ? 6 : 7;
  }
}
