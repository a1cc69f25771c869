package dev.prestage.simulator.policy;

import dev.prestage.engine.predict.Forecast;
import it.unimi.dsi.fastutil.longs.Long2IntOpenHashMap;
import java.util.ArrayList;
import java.util.List;

/// Several prefetchers on the same requests: the first asks first, and the next ones share what
/// room is left.
///
/// What becomes of a page is told to the member that asked for it. Of forecasts, which exclude each
/// other, the first member that has one gives it.
///
/// Limitation: a member that always fills the room silences those behind it.
public final class Union implements Prefetcher {
  private static final int NOBODY = -1;

  private final List<Prefetcher> members;

  /// @param members the most trusted first
  public Union(List<Prefetcher> members) {
    this.members = List.copyOf(members);
  }

  @Override
  public Copy start(Fetches fetches) {
    return new Together(fetches);
  }

  @Override
  public long modelBytes() {
    return members.stream().mapToLong(Prefetcher::modelBytes).sum();
  }

  private final class Together implements Copy {
    private final List<Copy> copies = new ArrayList<>();
    private final Long2IntOpenHashMap askedBy = new Long2IntOpenHashMap();

    Together(Fetches fetches) {
      askedBy.defaultReturnValue(NOBODY);
      for (int member = 0; member < members.size(); member++) {
        copies.add(members.get(member).start(new Asking(fetches, member)));
      }
    }

    @Override
    public void demanded(Request request, Fetches fetches) {
      // A page that was late is never reported.
      for (long page = request.first(); page <= request.last(); page++) {
        askedBy.remove(page);
      }
      for (int member = 0; member < copies.size(); member++) {
        copies.get(member).demanded(request, new Asking(fetches, member));
      }
    }

    @Override
    public void next(Forecast into) {
      for (Copy copy : copies) {
        if (into.size() > 0) {
          return;
        }
        copy.next(into);
      }
    }

    @Override
    public void used(long page) {
      int member = askedBy.remove(page);
      if (member != NOBODY) {
        copies.get(member).used(page);
      }
    }

    @Override
    public void wasted(long page) {
      int member = askedBy.remove(page);
      if (member != NOBODY) {
        copies.get(member).wasted(page);
      }
    }

    @Override
    public void stop() {
      copies.forEach(Copy::stop);
    }

    /// Remembers who asked.
    private final class Asking implements Fetches {
      private final Fetches host;
      private final int member;

      Asking(Fetches host, int member) {
        this.host = host;
        this.member = member;
      }

      @Override
      public boolean fetch(long page) {
        boolean willCome = host.fetch(page);
        if (willCome) {
          askedBy.put(page, member);
        }
        return willCome;
      }

      @Override
      public boolean callOff(long page) {
        return host.callOff(page);
      }

      @Override
      public boolean isHere(long page) {
        return host.isHere(page);
      }

      @Override
      public int host() {
        return host.host();
      }

      @Override
      public boolean isFull() {
        return host.isFull();
      }
    }
  }
}
