/**
 * The simulator's own program. A file here so that Node finds the package with the conditions this process was
 * started with; asking for its path beforehand would need the launcher to have been started with them too.
 */
// oxlint-disable-next-line import/no-unassigned-import -- a program: running it is the point
import "@sluice/simulator/main";
