/* The certified path of an order without quotes, as router/{merge,place,fast}.py do it, in C: the limit to compare with.
   The words of both arenas come from pricing/arena.py and router/layout.py when it is compiled (benchmarks/native.py). */
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <x86intrin.h>

typedef int64_t word;
typedef union { word i; double d; } cell;
static inline word min(word a, word b) { return a < b ? a : b; }
static inline word max(word a, word b) { return a > b ? a : b; }
static inline word absolute(word a) { return a < 0 ? -a : a; }
static inline word up(word a, word b) { return (a + b - 1) / b; }
static inline word shown(word size, word share) {
    return share == PPM ? size : size / PPM * share + size % PPM * share / PPM;
}

static word locate(const word *book, word *work, word v) {
    word *row = work + HEAD + v * VENUE, side = work[W_SIDE], limit = work[W_LIMIT], low = 0;
    word n = book[BOOK_HEADER + v * BOOK_VENUE + V_COUNT + side], depth = book[H_DEPTH];
    word base = BOOK_HEADER + book[H_VENUES] * BOOK_VENUE + (2 * v + side) * 2 * depth;
    if (limit > 0) {
        word least = side == 1 ? -limit : limit, high = n;
        while (low < high) {
            word middle = (low + high) >> 1;
            if (book[base + middle] < least) low = middle + 1; else high = middle;
        }
    }
    if (row[SHARE] < PPM)
        while (n > low && shown(book[base + depth + n - 1], row[SHARE]) == 0) n--;
    row[END] = base + low;
    row[TOP] = base + n - 1;
    return n - low;
}

static word build(const word *book, word *work, word leaves) {
    word venues = work[W_VENUES];
    for (word v = 0; v < leaves; v++) {
        word *row = work + HEAD + v * VENUE;
        row[KEY] = v < venues && row[AT] >= row[END] ? -book[row[AT]] * row[CHOICE] : NONE;
        work[TREE_WINNERS + leaves + v] = v;
    }
    for (word node = leaves - 1; node > 0; node--) {
        word a = work[TREE_WINNERS + 2 * node], b = work[TREE_WINNERS + 2 * node + 1];
        if (work[HEAD + b * VENUE + KEY] < work[HEAD + a * VENUE + KEY]) { word c = a; a = b; b = c; }
        work[TREE_WINNERS + node] = a;
        work[TREE_VENUES + node] = b;
        work[TREE + node] = work[HEAD + b * VENUE + KEY];
    }
    return leaves > 1 ? work[TREE_WINNERS + 1] : 0;
}

static word merge(const word *book, word *work, word used, word total, word most) {
    word depth = book[H_DEPTH], leaves = 1;
    while (leaves < work[W_VENUES]) leaves <<= 1;
    word winner = build(book, work, leaves);
    word *row = work + HEAD + winner * VENUE, key = row[KEY];
    while (used < total && key != NONE && most > 0) {
        most--;
        word level = row[AT], ticks = absolute(book[level]), size = shown(book[level + depth], row[SHARE]);
        word take = min(size, row[CAP_LOTS] - row[TAKEN]), cap = row[CAP_NOTIONAL];
        if (cap < MOST) take = min(take, (cap - row[SPENT]) / ticks);
        int capped = take < size;
        take = min(take, total - used);
        if (take > 0) {
            used += take;
            row[TAKEN] += take;
            row[SPENT] += take * ticks;
            row[LAST] = level;
            row[PART] = take;
        }
        if (capped) level = row[END] - 1;
        else if (take == size) level--;
        row[AT] = level;
        key = level >= row[END] ? -book[level] * row[CHOICE] : NONE;
        for (word node = (leaves + winner) >> 1; node > 0; node >>= 1) {
            word rival = work[TREE + node];
            if (rival < key || (rival == key && work[TREE_VENUES + node] < winner)) {
                word other = work[TREE_VENUES + node];
                work[TREE + node] = key;
                work[TREE_VENUES + node] = winner;
                winner = other;
                key = rival;
            }
        }
        row = work + HEAD + winner * VENUE;
    }
    return used;
}

static word sweep(const word *book, word *row, word pivot, word total) {
    word depth = book[H_DEPTH], level = row[AT], end = row[END], choice = row[CHOICE], share = row[SHARE];
    word taken = row[TAKEN], spent = row[SPENT], last = row[LAST], part = row[PART], lots = row[CAP_LOTS], money = row[CAP_NOTIONAL];
    while (level >= end && taken <= total) {
        if (-book[level] * choice >= pivot) break;
        word ticks = absolute(book[level]), size = shown(book[level + depth], share);
        word take = min(min(size, lots - taken), total + 1);
        if (money < MOST) take = min(take, (money - spent) / ticks);
        if (take > 0) {
            taken += take;
            spent += take * ticks;
            last = level;
            part = take;
        }
        level = take == size ? level - 1 : end - 1;
    }
    row[NEXT_AT] = level;
    row[NEXT_LAST] = last;
    row[NEXT_PART] = part;
    row[NEXT_TAKEN] = taken;
    row[NEXT_SPENT] = spent;
    return taken - row[TAKEN];
}

static word batches(const word *book, word *work, word used, word total) {
    word venues = work[W_VENUES], stride = STRIDE;
    while (stride > 1) {
        word pivot = NONE, lots = 0;
        for (word v = 0; v < venues; v++) {
            word *row = work + HEAD + v * VENUE, level = row[AT] - stride;
            if (level >= row[END]) pivot = min(pivot, -book[level] * row[CHOICE]);
        }
        if (pivot == NONE) { stride >>= 1; continue; }
        for (word v = 0; v < venues && used + lots <= total; v++) lots += sweep(book, work + HEAD + v * VENUE, pivot, total);
        if (used + lots > total) { stride >>= 1; continue; }
        for (word v = 0; v < venues; v++) {
            word *row = work + HEAD + v * VENUE;
            row[AT] = row[NEXT_AT];
            row[LAST] = row[NEXT_LAST];
            row[PART] = row[NEXT_PART];
            row[TAKEN] = row[NEXT_TAKEN];
            row[SPENT] = row[NEXT_SPENT];
        }
        used += lots;
    }
    return used;
}

/* 0 and the OUT words when the relaxation is a plan; anything else: not decided here. `plain`: levels merged one by one. */
word certify(const word *book, word *work, word plain) {
    word total = work[W_TOTAL], best = NONE, venues = work[W_VENUES];
    work[W_SUBSET] = work[W_OPTIMAL] = 0;
    for (word v = 0; v < venues; v++) {
        word *row = work + HEAD + v * VENUE;
        row[OUT_LOTS] = row[SKIP] = 0;
        if (row[USED] == 0 || locate(book, work, v) <= 0) { row[USED] = row[TOP] = 0; row[END] = 1; continue; }
        word top = book[row[TOP]], ticks = absolute(top), worst = max(ticks, absolute(book[row[END]]));
        if (worst >= MOST_TICKS || total > MOST / worst) return 1;
        word lot = row[LOT], low = max(row[MIN_LOTS], 1);
        if (row[MIN_NOTIONAL] > 0) low = max(low, up(row[MIN_NOTIONAL], ticks));
        row[LOW] = lot > 1 ? up(low, lot) * lot : low;
        best = min(best, -top * row[CHOICE]);
    }
    ((cell *)work)[F_BASE].d = (double)best;
    if (best == NONE) return 2;
    for (word v = 0; v < venues; v++) {
        word *row = work + HEAD + v * VENUE;
        row[TAKEN] = row[SPENT] = row[PART] = 0;
        row[LAST] = row[TOP] + 1;
        row[AT] = row[USED] == 1 && row[SKIP] == 0 ? row[TOP] : row[END] - 1;
    }
    word used = merge(book, work, 0, total, plain);
    if (used < total) {
        used = batches(book, work, used, total);
        used = merge(book, work, used, total, NONE);
    }
    if (used < total) return 2;
    word count = 0;
    double cost = 0.0, base = (double)best;
    for (word v = 0; v < venues; v++) {
        word *row = work + HEAD + v * VENUE, taken = row[TAKEN], lot = row[LOT];
        if (taken > 0) {
            if (taken < row[LOW] || (lot > 1 && taken % lot != 0)) return 3;
            double money = (double)row[SPENT] * (double)row[CHOICE];
            cost += (work[W_SIDE] == 1 ? money : -money) - base * (double)taken;
            count++;
        }
    }
    if (count > work[W_CHILDREN] || !(cost < INFINITY)) return 3;
    for (word v = 0; v < venues; v++) {
        word *row = work + HEAD + v * VENUE;
        if (row[TAKEN] > 0) { row[OUT_LOTS] = row[TAKEN]; row[OUT_NOTIONAL] = row[SPENT]; row[OUT_WORST] = absolute(book[row[LAST]]); }
    }
    work[W_OPTIMAL] = 1;
    ((cell *)work)[F_GAP].d = 0.0;
    return 0;
}

/* Each order laid into `work`, then solved; ticks of the processor's clock for the second alone. */
void timed(const word *books, word stride, const word *which, const word *orders, word words, word n, word *work, word plain,
           word *cycles, word *verdicts) {
    for (word i = 0; i < n; i++) {
        memcpy(work, orders + i * words, words * sizeof(word));
        word began = __rdtsc();
        verdicts[i] = certify(books + which[i] * stride, work, plain);
        cycles[i] = __rdtsc() - began;
    }
}
