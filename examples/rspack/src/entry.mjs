import * as icons from "@mui/icons-material";
import * as lodash from "lodash-es";
import * as three from "three";
import * as antd from "antd";
import * as dateFns from "date-fns";
import * as rxjs from "rxjs";

console.log(icons, lodash, three, antd, dateFns, rxjs);
