// A click on a title sorts the leaderboard by that column, a second click turns it round.
for (const head of document.querySelectorAll("table.board th")) {
  head.tabIndex = 0;
  head.title = "sort";
  const sort = () => {
    const body = head.closest("table").tBodies[0], place = head.cellIndex;
    const up = head.dataset.up !== "1";
    for (const other of head.parentNode.cells) delete other.dataset.up;
    head.dataset.up = up ? "1" : "0";
    const key = (row) => row.cells[place].textContent.trim();
    const compare = (a, b) => {
      const x = key(a), y = key(b);
      if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1);
      const both = !isNaN(x) && !isNaN(y);
      return (both ? x - y : x.localeCompare(y)) * (up ? 1 : -1);
    };
    body.append(...[...body.rows].sort(compare));
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", (press) => press.key === "Enter" && sort());
}
