// About 500 modules, of both kinds: ES modules and CommonJS (react, react-dom).
import * as dateFns from "date-fns";
import * as rxjs from "rxjs";
import * as react from "react";
import * as reactDom from "react-dom/client";

console.log(dateFns, rxjs, react, reactDom);
