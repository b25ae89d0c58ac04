// A page whose figures are pictures and whose tables stand in it: tables sort, figures and tables can be saved.
const pageName = () => document.title.split(" \u00b7 ")[0];
document.querySelectorAll("main table").forEach(makeSortable);
pictureExports();
plainTableExports();
document.documentElement.dataset.drawn = "yes";
