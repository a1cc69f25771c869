package dev.prestage.simulator.policy;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/// A host that remembers what it was asked for, and to which nothing is here but that.
final class Asked implements Fetches {
  private final int most;
  private final Set<Long> here = new LinkedHashSet<>();
  private final List<Long> news = new ArrayList<>();

  Asked() {
    this(32);
  }

  /// @param most how many pages it takes at a time
  Asked(int most) {
    this.most = most;
  }

  /// What a copy asks for when this was demanded.
  List<Long> after(Prefetcher.Copy copy, long first, int count, boolean missed) {
    news.clear();
    copy.demanded(new Request(0, first, count, false, missed ? count : 0), this);
    return List.copyOf(news);
  }

  /// What a copy asks for when one page was demanded, which waited unless it was asked for before.
  List<Long> after(Prefetcher.Copy copy, long page) {
    boolean hit = here.remove(page);
    if (hit) {
      copy.used(page);
    }
    return after(copy, page, 1, !hit);
  }

  /// What it was asked for since something was demanded.
  List<Long> news() {
    return List.copyOf(news);
  }

  /// The pages from first to last.
  static Long[] pages(long first, long last) {
    Long[] pages = new Long[(int) (last - first + 1)];
    for (int i = 0; i < pages.length; i++) {
      pages[i] = first + i;
    }
    return pages;
  }

  @Override
  public boolean fetch(long page) {
    if (page < 0 || isFull() || !here.add(page)) {
      return false;
    }
    news.add(page);
    return true;
  }

  @Override
  public boolean isHere(long page) {
    return here.contains(page);
  }

  @Override
  public int host() {
    return 0;
  }

  @Override
  public boolean isFull() {
    return news.size() == most;
  }
}
