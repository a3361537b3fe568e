/** A file that stands alone has no tour. */

/** Leave the page as it is. */
export function addTour() {}
