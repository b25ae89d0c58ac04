// A page whose figures are pictures and whose tables stand in it: tables sort, figures and tables can be saved.
const pageName = () => document.title.split(" \u00b7 ")[0];
document.querySelectorAll("main table").forEach(makeSortable);
pictureExports();
plainTableExports();
hintScrolling();
window.addEventListener("resize", hintScrolling);
document.addEventListener("toggle", hintScrolling, true); // what was closed had no width
document.documentElement.dataset.drawn = "yes";
